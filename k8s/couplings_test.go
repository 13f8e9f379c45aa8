package k8s

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"sidecar/internal/config"
)

// A review collects the faults of an application.
type review struct {
	app     application
	secrets map[string][]string // keys of those that the user makes
	faults  []string

	pod     corev1.PodTemplateSpec // of the API
	sidecar *corev1.Container
	native  bool
	api     *corev1.Container
	env     map[string]string // of the sidecar
	config  config.Config
}

// faultsOf are all faults of the manifests of an overlay.
func faultsOf(text string, secrets map[string][]string) []string {
	app, faults := decode(text)
	r := &review{app: app, secrets: secrets, faults: faults}
	game, ok := app["Deployment/game"].(*appsv1.Deployment)
	if !ok {
		return append(r.faults, "there is no Deployment game")
	}
	r.pod = game.Spec.Template
	if r.sidecar, r.native = sidecarOf(r.pod.Spec); r.sidecar == nil {
		return append(r.faults, "the pod has no sidecar")
	}
	i := slices.IndexFunc(r.pod.Spec.Containers,
		func(c corev1.Container) bool { return c.Name == "api" })
	if i < 0 {
		return append(r.faults, "the pod has no API")
	}
	r.api = &r.pod.Spec.Containers[i]
	if !r.environment() {
		return r.faults
	}
	for _, check := range []func(){
		r.references, r.ports, r.probes, r.ending, r.security, r.selectors, r.redis,
	} {
		check()
	}
	return r.faults
}

func (r *review) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// sidecarOf is the container of the sidecar; native, if it is such a one.
func sidecarOf(spec corev1.PodSpec) (c *corev1.Container, native bool) {
	named := func(c corev1.Container) bool { return c.Name == "sidecar" }
	if i := slices.IndexFunc(spec.InitContainers, named); i >= 0 {
		return &spec.InitContainers[i], true
	}
	if i := slices.IndexFunc(spec.Containers, named); i >= 0 {
		return &spec.Containers[i], false
	}
	return nil, false
}

// references checks that the objects to which pods refer are there, or are Secrets of the user.
func (r *review) references() {
	for name, object := range r.app {
		template, claims := templateOf(object)
		if template == nil {
			continue
		}
		volumes := map[string]bool{}
		for _, v := range template.Spec.Volumes {
			volumes[v.Name] = true
			if v.ConfigMap != nil && r.app["ConfigMap/"+v.ConfigMap.Name] == nil {
				r.fault("%s: volume %s names the ConfigMap %s, which does not exist",
					name, v.Name, v.ConfigMap.Name)
			}
			if v.Secret != nil && r.secrets[v.Secret.SecretName] == nil {
				r.fault("%s: volume %s names the Secret %s, which nobody makes",
					name, v.Name, v.Secret.SecretName)
			}
		}
		for _, c := range claims {
			volumes[c] = true
		}
		for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					r.fault("%s: container %s mounts %s, which is no volume", name, c.Name, m.Name)
				}
				if m.SubPath != "" {
					r.fault("%s: container %s mounts a subPath, which does not follow a change",
						name, c.Name)
				}
			}
			for _, e := range c.Env {
				if e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil {
					continue
				}
				if ref := e.ValueFrom.SecretKeyRef; !slices.Contains(r.secrets[ref.Name], ref.Key) {
					r.fault("%s: %s names the key %s of the Secret %s, which nobody makes",
						name, e.Name, ref.Key, ref.Name)
				}
			}
		}
	}
}

func templateOf(object any) (template *corev1.PodTemplateSpec, claims []string) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template, nil
	case *appsv1.StatefulSet:
		for _, v := range o.Spec.VolumeClaimTemplates {
			claims = append(claims, v.Name)
		}
		return &o.Spec.Template, claims
	}
	return nil, nil
}

// environment loads the sidecar's variables as it does itself, and looks where its files come from.
// It reports whether the sidecar would start.
func (r *review) environment() bool {
	r.env = map[string]string{}
	for _, from := range r.sidecar.EnvFrom {
		source, ok := r.app["ConfigMap/"+from.ConfigMapRef.Name].(*corev1.ConfigMap)
		if !ok {
			r.fault("the sidecar's envFrom names the ConfigMap %s, which does not exist",
				from.ConfigMapRef.Name)
			continue
		}
		for name, value := range source.Data {
			r.env[name] = value
		}
	}
	for _, e := range r.sidecar.Env {
		r.env[e.Name] = e.Value
	}
	known := map[string]bool{"JWT_SECRET": true} // the policies name it
	for _, v := range config.Variables() {
		known[v.Name], known[v.Name+"_FILE"] = true, v.Secret
	}
	var list []string
	for name, value := range r.env {
		list = append(list, name+"="+value)
		if !known[name] {
			r.fault("the sidecar has no variable %s", name)
		}
		if strings.HasSuffix(name, "_FILE") {
			r.file(name, value)
		}
	}
	var err error
	if r.config, err = config.Load(list, nil); err != nil {
		r.fault("the sidecar would not start: %v", err)
		return false
	}
	if q := r.sidecar.Resources.Limits.Memory(); q.Value() < 2*int64(r.config.Memory)+64<<20 {
		r.fault("the sidecar's memory limit leaves no room beside MEMORY_CACHE_SIZE")
	}
	return true
}

// file checks that a file that a variable names is mounted.
func (r *review) file(name, file string) {
	i := slices.IndexFunc(r.sidecar.VolumeMounts,
		func(m corev1.VolumeMount) bool { return m.MountPath == path.Dir(file) })
	if i < 0 {
		r.fault("%s: nothing is mounted at %s", name, path.Dir(file))
		return
	}
	for _, v := range r.pod.Spec.Volumes {
		if v.Name != r.sidecar.VolumeMounts[i].Name {
			continue
		}
		switch {
		case v.Secret != nil:
			if !slices.Contains(r.secrets[v.Secret.SecretName], path.Base(file)) {
				r.fault("%s: the Secret %s has no key %s",
					name, v.Secret.SecretName, path.Base(file))
			}
			if v.Secret.DefaultMode == nil || *v.Secret.DefaultMode&0o004 == 0 {
				r.fault("%s: the sidecar's user cannot read the Secret %s",
					name, v.Secret.SecretName)
			}
		case v.ConfigMap != nil:
			if c, ok := r.app["ConfigMap/"+
				v.ConfigMap.Name].(*corev1.ConfigMap); ok && c.Data[path.Base(file)] == "" {
				r.fault("%s: the ConfigMap %s has no key %s",
					name, v.ConfigMap.Name, path.Base(file))
			}
		}
	}
}

// ports follows a request: Service, sidecar, API.
func (r *review) ports() {
	data, ops := portOf(r.config.Listen), portOf(r.config.Ops)
	for _, want := range []int32{data, ops} {
		if !slices.ContainsFunc(r.sidecar.Ports,
			func(p corev1.ContainerPort) bool { return p.ContainerPort == want }) {
			r.fault("the sidecar's port %d is not declared", want)
		}
	}
	service, ok := r.app["Service/game"].(*corev1.Service)
	if !ok {
		r.fault("there is no Service game")
		return
	}
	if got := service.Spec.Ports[0].TargetPort; got != intstr.FromInt32(data) {
		r.fault("the Service leads to port %s, and the sidecar listens on %d", got.String(), data)
	}
	backend, err := url.Parse(r.config.Backend.URL)
	if err != nil || backend.Hostname() != "127.0.0.1" {
		r.fault("the API is not in the same pod: %s", r.config.Backend.URL)
	}
	for _, e := range r.api.Env {
		if e.Name == "GAME_ADDR" && fmt.Sprint(portOf(e.Value)) != backend.Port() {
			r.fault("the API listens on %s, and the sidecar asks port %s", e.Value, backend.Port())
		}
	}
}

func portOf(address string) int32 {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return -1
	}
	n, _ := strconv.ParseInt(port, 10, 32)
	return int32(n)
}

func (r *review) probes() {
	for _, p := range []struct {
		name, path string
		probe      *corev1.Probe
	}{
		{"startup", "/healthz", r.sidecar.StartupProbe}, // never the API's: that starts later
		{"liveness", "/healthz", r.sidecar.LivenessProbe},
		{"readiness", "/readyz", r.sidecar.ReadinessProbe},
	} {
		switch {
		case p.probe == nil || p.probe.HTTPGet == nil:
			r.fault("the sidecar has no %s probe", p.name)
		case p.probe.HTTPGet.Path != p.path:
			r.fault("the %s probe asks for %s", p.name, p.probe.HTTPGet.Path)
		case !slices.ContainsFunc(r.sidecar.Ports, func(c corev1.ContainerPort) bool {
			return c.Name == p.probe.HTTPGet.Port.StrVal && c.ContainerPort == portOf(r.config.Ops)
		}):
			r.fault("the %s probe does not ask the ops address", p.name)
		}
	}
}

// ending checks who ends when: the endpoints first, then the sidecar's clients, then the API.
func (r *review) ending() {
	if l := r.sidecar.Lifecycle; l != nil && (l.PreStop == nil || l.PreStop.Exec == nil ||
		!slices.Equal(l.PreStop.Exec.Command, []string{"/sidecar", "leave"}) ||
		r.env["ADMIN_TOKEN_FILE"] == "") {
		r.fault("the sidecar has another lifecycle hook than leave, with which it serves on")
	}
	sleep := sleepOf(r.api)
	if sleep == 0 {
		r.fault("the API does not sleep in preStop: it ends before its endpoint is removed")
	}
	own := r.config.ShutdownDelay + r.config.Shutdown
	grace := time.Duration(0)
	if s := r.pod.Spec.TerminationGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	const apiEnds = 10 * time.Second
	if r.native {
		if a := r.sidecar.RestartPolicy; a == nil || *a != corev1.ContainerRestartPolicyAlways {
			r.fault("the init container of the sidecar does not go on: restartPolicy is not Always")
		}
		if r.pod.Spec.InitContainers[0].Name != "sidecar" {
			r.fault("other init containers start before the sidecar")
		}
		if r.config.ShutdownDelay != 0 {
			r.fault("SHUTDOWN_DELAY: the API is gone when a native sidecar gets SIGTERM")
		}
		own += sleep // one after the other
	} else if sleep < own {
		r.fault("the API sleeps for %v, and the sidecar needs it for %v", sleep, own)
	} else {
		own = sleep
	}
	if grace < own+apiEnds {
		r.fault("the grace period of %v is shorter than %v", grace, own+apiEnds)
	}
}

func sleepOf(c *corev1.Container) time.Duration {
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		return 0
	}
	switch hook := c.Lifecycle.PreStop; {
	case hook.Sleep != nil:
		return time.Duration(hook.Sleep.Seconds) * time.Second
	case hook.Exec != nil && len(hook.Exec.Command) == 2 && hook.Exec.Command[0] == "sleep":
		n, _ := strconv.Atoi(hook.Exec.Command[1])
		return time.Duration(n) * time.Second
	}
	return 0
}

func (r *review) security() {
	is := func(b *bool, want bool) bool { return b != nil && *b == want }
	if !is(r.pod.Spec.EnableServiceLinks, false) {
		r.fault("enableServiceLinks: Services would set variables of the sidecar")
	}
	s := r.sidecar.SecurityContext
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{s != nil && is(s.RunAsNonRoot, true) && s.RunAsUser != nil && *s.RunAsUser == 65532,
			"runs as the image's user"},
		{s != nil && is(s.ReadOnlyRootFilesystem, true), "has a read-only root"},
		{s != nil && is(s.AllowPrivilegeEscalation, false), "gets no privileges"},
		{s != nil && s.Capabilities != nil &&
			slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}),
			"drops its capabilities"},
		{s != nil && s.SeccompProfile != nil &&
			s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"has a seccomp profile"},
		{!r.sidecar.Resources.Requests.Memory().IsZero() &&
			r.sidecar.Resources.Limits.Cpu().IsZero(), "requests memory and has no CPU limit"},
	} {
		if !c.ok {
			r.fault("it is not so that the sidecar %s", c.what)
		}
	}
}

// selectors checks that each object that selects pods selects those with the sidecar.
func (r *review) selectors() {
	pod := labels.Set(r.pod.Labels)
	matches := func(name string, s *metav1.LabelSelector) {
		selector, err := metav1.LabelSelectorAsSelector(s)
		if err != nil || selector.Empty() || !selector.Matches(pod) {
			r.fault("%s does not select the pods with the sidecar", name)
		}
	}
	if s, ok := r.app["Service/game"].(*corev1.Service); ok &&
		!labels.SelectorFromSet(s.Spec.Selector).Matches(pod) {
		r.fault("Service/game does not select the pods with the sidecar")
	}
	if p, ok := r.app["PodDisruptionBudget/sidecar"].(*policyv1.PodDisruptionBudget); !ok {
		r.fault("there is no PodDisruptionBudget")
	} else {
		matches("PodDisruptionBudget/sidecar", p.Spec.Selector)
	}
	if m, ok := r.app["PodMonitor/sidecar"].(*monitoringv1.PodMonitor); !ok {
		r.fault("there is no PodMonitor")
	} else {
		matches("PodMonitor/sidecar", &m.Spec.Selector)
		e := m.Spec.PodMetricsEndpoints[0]
		if e.Port == nil || e.Path != "/metrics" ||
			!slices.ContainsFunc(r.sidecar.Ports, func(p corev1.ContainerPort) bool {
				return p.Name == *e.Port && p.ContainerPort == portOf(r.config.Ops)
			}) {
			r.fault("PodMonitor/sidecar does not scrape /metrics of the ops address")
		}
	}
	n, ok := r.app["NetworkPolicy/sidecar"].(*networkingv1.NetworkPolicy)
	if !ok {
		r.fault("there is no NetworkPolicy")
		return
	}
	matches("NetworkPolicy/sidecar", &n.Spec.PodSelector)
	open := map[int32]int{} // port: how many peers are named
	for _, rule := range n.Spec.Ingress {
		if len(rule.Ports) == 0 {
			r.fault("NetworkPolicy/sidecar opens every port")
		}
		for _, p := range rule.Ports {
			open[p.Port.IntVal] = len(rule.From)
		}
	}
	if peers, ok := open[portOf(r.config.Listen)]; !ok || peers != 0 {
		r.fault("NetworkPolicy/sidecar does not open the data plane")
	}
	if peers, ok := open[portOf(r.config.Ops)]; !ok || peers == 0 {
		r.fault("NetworkPolicy/sidecar does not open the ops address to Prometheus alone")
	}
	if len(open) != 2 {
		r.fault("NetworkPolicy/sidecar opens other ports: %v", open)
	}
}

// redis checks the servers of the namespace: hosts with a dot are somebody else's.
func (r *review) redis() {
	for _, s := range []struct{ role, host, port, eviction, appendonly string }{
		{"cache", r.config.Redis.Host, r.config.Redis.Port, "allkeys-lru", "no"},
		{"jobs", r.config.JobsRedis.Host, r.config.JobsRedis.Port, "noeviction", "yes"},
	} {
		if s.host == "" || strings.Contains(s.host, ".") {
			continue
		}
		service, ok := r.app["Service/"+s.host].(*corev1.Service)
		if !ok || fmt.Sprint(service.Spec.Ports[0].Port) != s.port {
			r.fault("%s: there is no Service %s with port %s", s.role, s.host, s.port)
			continue
		}
		for name, object := range r.app {
			template, _ := templateOf(object)
			if template == nil ||
				!labels.SelectorFromSet(service.Spec.Selector).
					Matches(labels.Set(template.Labels)) {
				continue
			}
			conf := r.redisConf(template.Spec, s.role)
			if conf["maxmemory-policy"] != s.eviction || conf["appendonly"] != s.appendonly {
				r.fault("%s has maxmemory-policy %s, appendonly %s",
					name, conf["maxmemory-policy"], conf["appendonly"])
			}
			var size config.Size
			limit := template.Spec.Containers[0].Resources.Limits.Memory().Value()
			if err := size.UnmarshalText([]byte(strings.ToUpper(conf["maxmemory"]))); err != nil ||
				int64(size) > limit*3/4 {
				r.fault("%s: maxmemory %s does not fit the container", name, conf["maxmemory"])
			}
		}
	}
}

// redisConf is the configuration that the container's command includes.
func (r *review) redisConf(spec corev1.PodSpec, role string) map[string]string {
	conf := map[string]string{}
	for _, v := range spec.Volumes {
		if v.ConfigMap == nil {
			continue
		}
		m, ok := r.app["ConfigMap/"+v.ConfigMap.Name].(*corev1.ConfigMap)
		if !ok || !strings.Contains(strings.Join(spec.Containers[0].Command, " "),
			"/"+role+".conf") {
			continue
		}
		for line := range strings.Lines(m.Data[role+".conf"]) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			conf[name] = value
		}
	}
	return conf
}
