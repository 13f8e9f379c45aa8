package k8s

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// kinds are the API types of the manifests.
var kinds = map[string]func() any{
	"v1/ConfigMap":                        func() any { return &corev1.ConfigMap{} },
	"v1/Service":                          func() any { return &corev1.Service{} },
	"apps/v1/Deployment":                  func() any { return &appsv1.Deployment{} },
	"apps/v1/StatefulSet":                 func() any { return &appsv1.StatefulSet{} },
	"policy/v1/PodDisruptionBudget":       func() any { return &policyv1.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy":  func() any { return &networkingv1.NetworkPolicy{} },
	"monitoring.coreos.com/v1/PodMonitor": func() any { return &monitoringv1.PodMonitor{} },
}

// An application is the objects of an overlay, by kind and name.
type application map[string]any

// build makes the manifests of an overlay, as kubectl kustomize does.
func build(t *testing.T, overlay string) string {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(),
		"overlays/"+overlay)
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// decode reads manifests strictly: an unknown or repeated field is a fault.
func decode(text string) (application, []string) {
	app, faults := application{}, []string(nil)
	for doc := range strings.SplitSeq(text, "\n---\n") {
		var meta struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		if err := yaml.Unmarshal([]byte(doc), &meta); err != nil {
			return nil, []string{err.Error()}
		}
		name := meta.Kind + "/" + meta.Metadata.Name
		kind, ok := kinds[meta.APIVersion+"/"+meta.Kind]
		if !ok {
			faults = append(faults,
				fmt.Sprintf("%s: %s is no kind that this test knows", name, meta.APIVersion))
			continue
		}
		object := kind()
		asJSON, err := yaml.YAMLToJSONStrict([]byte(doc))
		if err != nil {
			return nil, []string{err.Error()}
		}
		strict, err := json.UnmarshalStrict(asJSON, object) // by case too, as the API server reads
		if err := errors.Join(append(strict, err)...); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", name, err))
		}
		app[name] = object
	}
	return app, faults
}

// userMade are the keys of the Secrets that docs/kubernetes.md has the user make.
func userMade(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]string{}
	key := regexp.MustCompile(`--from-(?:literal|file)=([^=\s]+)=`)
	for _, m := range regexp.MustCompile(`kubectl create secret generic (\S+)((?:.*\\\n)*.*)`).
		FindAllStringSubmatch(string(page), -1) {
		for _, k := range key.FindAllStringSubmatch(m[2], -1) {
			secrets[m[1]] = append(secrets[m[1]], k[1])
		}
	}
	return secrets
}

// overlays are all of them.
func overlays(t *testing.T) []string {
	t.Helper()
	found, err := os.ReadDir("overlays")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range found {
		names = append(names, f.Name())
	}
	if len(names) < 5 {
		t.Fatalf("only %q", names)
	}
	return names
}

func TestEveryOverlayIsWhole(t *testing.T) {
	secrets := userMade(t)
	for _, overlay := range overlays(t) {
		t.Run(overlay, func(t *testing.T) {
			for _, fault := range faultsOf(build(t, overlay), secrets) {
				t.Error(fault)
			}
		})
	}
}

func TestThePoliciesAreThoseOfTheGame(t *testing.T) {
	for _, file := range []string{"policies/policies.yaml"} {
		ours, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		games, err := os.ReadFile("../policies.yaml")
		if err != nil {
			t.Fatal(err)
		}
		// the first line says where the schema lies
		_, our, _ := strings.Cut(string(ours), "\n")
		if _, game, _ := strings.Cut(string(games), "\n"); our != game {
			t.Errorf("%s differs from ../policies.yaml: copy it, but for the first line", file)
		}
	}
}

// The two components may differ only as the versions of Kubernetes demand.
func TestTheOldContainerIsTheNewOne(t *testing.T) {
	var containers []corev1.Container
	for _, overlay := range []string{"two-redis", "before-1.29"} {
		app, faults := decode(build(t, overlay))
		if faults != nil {
			t.Fatal(faults)
		}
		spec := app["Deployment/game"].(*appsv1.Deployment).Spec.Template.Spec
		c, _ := sidecarOf(spec)
		if c == nil {
			t.Fatalf("%s: no sidecar", overlay)
		}
		one := *c
		one.RestartPolicy, one.Lifecycle = nil, nil
		one.Env = slices.DeleteFunc(slices.Clone(one.Env), func(e corev1.EnvVar) bool {
			return strings.HasPrefix(e.Name, "SHUTDOWN_")
		})
		containers = append(containers, one)
	}
	a, _ := yaml.Marshal(containers[0])
	b, _ := yaml.Marshal(containers[1])
	hash := regexp.MustCompile(`sidecar-[a-z0-9]{10}\b`)
	if got, want := hash.ReplaceAllString(string(b), "sidecar"),
		hash.ReplaceAllString(string(a), "sidecar"); got != want {
		t.Errorf("before 1.29:\n%s\nsince:\n%s", got, want)
	}
}

// Each value that is changed has to be noticed.
func TestAWrongValueIsNoticed(t *testing.T) {
	secrets := userMade(t)
	built := map[string]string{}
	for _, m := range mutations {
		t.Run(m.finds, func(t *testing.T) {
			overlay := m.overlay
			if overlay == "" {
				overlay = "two-redis"
			}
			if built[overlay] == "" {
				built[overlay] = build(t, overlay)
			}
			text := built[overlay]
			if n := strings.Count(text, m.from); n != 1 {
				t.Fatalf("%q stands there %d times", m.from, n)
			}
			faults := faultsOf(strings.Replace(text, m.from, m.to, 1), secrets)
			if !slices.ContainsFunc(faults,
				func(f string) bool { return strings.Contains(f, m.finds) }) {
				t.Errorf("%q in the place of %q: %q", m.to, m.from, faults)
			}
		})
	}
}
