package k8s

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// kinds are the API types of the manifests.
var kinds = map[string]func() any{
	"v1/ConfigMap":        func() any { return &corev1.ConfigMap{} },
	"v1/Secret":           func() any { return &corev1.Secret{} },
	"v1/Service":          func() any { return &corev1.Service{} },
	"apps/v1/Deployment":  func() any { return &appsv1.Deployment{} },
	"apps/v1/StatefulSet": func() any { return &appsv1.StatefulSet{} },
}

// objects decodes every document of every manifest strictly: an unknown or repeated field is an
// error.
func objects(t *testing.T) map[string]any {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	found := map[string]any{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range bytes.Split(content, []byte("\n---\n")) {
			var meta struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   struct {
					Name string `json:"name"`
				} `json:"metadata"`
			}
			if err := yaml.Unmarshal(doc, &meta); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			build, ok := kinds[meta.APIVersion+"/"+meta.Kind]
			if !ok {
				t.Fatalf("%s: %s/%s is no kind that this test knows", file, meta.APIVersion, meta.Kind)
			}
			object := build()
			if err := yaml.UnmarshalStrict(doc, object); err != nil {
				t.Errorf("%s: %s %s: %v", file, meta.Kind, meta.Metadata.Name, err)
			}
			found[meta.Kind+"/"+meta.Metadata.Name] = object
		}
	}
	return found
}

func TestManifestsDecodeStrictly(t *testing.T) {
	found := objects(t)
	for _, name := range []string{
		"Deployment/game", "Service/game", "Secret/game", "ConfigMap/redis",
		"Deployment/redis-cache", "Service/redis-cache", "StatefulSet/redis-jobs", "Service/redis-jobs",
	} {
		if found[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestEverySecretKeyThatIsReferredToExists(t *testing.T) {
	found := objects(t)
	secret, ok := found["Secret/game"].(*corev1.Secret)
	if !ok {
		t.Fatal("Secret/game is missing")
	}
	for name, object := range found {
		for _, c := range containers(object) {
			for _, e := range c.Env {
				if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
					continue
				}
				if _, ok := secret.StringData[e.ValueFrom.SecretKeyRef.Key]; !ok {
					t.Errorf("%s: %s of container %s names the key %q, which the Secret lacks", name, e.Name, c.Name, e.ValueFrom.SecretKeyRef.Key)
				}
			}
		}
	}
}

func TestEveryVolumeMountHasItsVolume(t *testing.T) {
	for name, object := range objects(t) {
		volumes := volumeNames(object)
		for _, c := range containers(object) {
			for _, m := range c.VolumeMounts {
				if !slices.Contains(volumes, m.Name) {
					t.Errorf("%s: container %s mounts %q, which is no volume of the pod", name, c.Name, m.Name)
				}
			}
		}
	}
}

func containers(object any) []corev1.Container {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers)
	case *appsv1.StatefulSet:
		return slices.Concat(o.Spec.Template.Spec.InitContainers, o.Spec.Template.Spec.Containers)
	}
	return nil
}

func volumeNames(object any) []string {
	var names []string
	switch o := object.(type) {
	case *appsv1.Deployment:
		for _, v := range o.Spec.Template.Spec.Volumes {
			names = append(names, v.Name)
		}
	case *appsv1.StatefulSet:
		for _, v := range o.Spec.Template.Spec.Volumes {
			names = append(names, v.Name)
		}
		for _, v := range o.Spec.VolumeClaimTemplates {
			names = append(names, v.Name)
		}
	}
	return names
}
