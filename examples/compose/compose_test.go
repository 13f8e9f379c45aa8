package compose

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml"

	"sidecar/internal/config"
)

// load reads a project as Compose does, with the environment of nobody.
func load(file string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithName("game"))
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}

func TestTheProjectIsWhole(t *testing.T) {
	project, err := load("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faultsOf(project) {
		t.Error(fault)
	}
}

// Each value that is changed has to be noticed.
func TestAWrongValueIsNoticed(t *testing.T) {
	content, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct{ from, to, finds string }{
		{"    image: redis:7-alpine\n", "    imag: redis:7-alpine\n", "imag"},
		{"BACKEND_URL: http://game:3000", "BACKEND_URL: http://game:8000",
			"the API does not listen there"},
		{"BACKEND_URL: http://game:3000", "BACKEND_URL: http://gameapi:3000", "no service gameapi"},
		{"REDIS_HOST: redis\n", "REDIS_HOST: cache\n", "no service cache"},
		{"REDIS_HOST: redis\n", "REDIS_HOTS: redis\n", "did you mean REDIS_HOST"},
		{"      REDIS_PASSWORD: ${REDIS_PASSWORD:-yourpassword}", "      REDIS_PASSWORD: other",
			"another password"},
		{`[CMD, redis-cli, -a, "${REDIS_PASSWORD:-yourpassword}", ping]`,
			"[CMD, redis-cli, -a, other, ping]", "another password"},
		{"0:${REDIS_PASSWORD:-yourpassword}", "0:other", "another password"},
		{"local:redis:6379", "local:redis:6380", "redis-commander does not connect"},
		{"--appendonly yes ", "", "appendonly"},
		{"redis_data:/data", "redis_data:/dat", "no volume at /data"},
		{"8080:8080", "8080:8000", "publishes 8000"},
		{"127.0.0.1:9091:9090", "127.0.0.1:9090:9090", "published twice"},
		{"127.0.0.1:6379:6379", "6379:6379", "is published to everybody"},
		{"GAME_DB:", "GAME_DATABASE:", "no variable GAME_DATABASE"},
		{"GAME_DB: /data/game.db", "GAME_DB: /var/game.db", "cannot write to /var"},
		{"      JWT_SECRET: ${JWT_SECRET:-a-secret-for-development-only}\n      KEY",
			"      JWT_SECRET: other\n      KEY", "JWT_SECRET"},
		{":/etc/sidecar/policies.yaml:ro", ":/etc/sidecar/policy.yaml:ro",
			"POLICIES_FILE is not mounted"},
		{"../../policies.yaml:", "../../polices.yaml:", "does not exist"},
		{"build: ../..", "build: ../nowhere", "no Dockerfile"},
		{"./prometheus.yml:", "./prometheus.yaml:", "does not exist"},
		{"[CMD, /sidecar, healthcheck]", "[CMD, /bin/sidecar, healthcheck]",
			"does not run the program of the image"},
		{"read_only: true", "read_only: false", "can be written"},
		{"condition: service_healthy", "condition: service_started",
			"does not wait for a healthy Redis"},
		{"stop_grace_period: 30s", "stop_grace_period: 20s", "killed before SHUTDOWN_TIMEOUT"},
	} {
		t.Run(m.finds, func(t *testing.T) {
			if n := strings.Count(string(content), m.from); n < 1 {
				t.Fatalf("%q stands there %d times", m.from, n)
			}
			// beside it: paths are relative
			file := ".changed-" + strings.Map(letters, t.Name()) + ".yaml"
			t.Cleanup(func() { _ = os.Remove(file) })
			if err := os.WriteFile(file, []byte(strings.Replace(string(content), m.from, m.to, 1)),
				0o600); err != nil {
				t.Fatal(err)
			}
			var faults []string
			if project, err := load(file); err != nil {
				faults = []string{err.Error()}
			} else {
				faults = faultsOf(project)
			}
			if !strings.Contains(strings.Join(faults, "\n"), m.finds) {
				t.Errorf("%q in the place of %q: %q", m.to, m.from, faults)
			}
		})
	}
}

func letters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// A review collects the faults of a project.
type review struct {
	project *types.Project
	faults  []string
}

func (r *review) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

func faultsOf(project *types.Project) []string {
	r := &review{project: project}
	for _, check := range []func(){r.paths, r.ports, r.redis, r.game, r.sidecar, r.observers} {
		check()
	}
	return r.faults
}

// service is a service; a fault and an empty one if there is none of that name.
func (r *review) service(name string) types.ServiceConfig {
	s, ok := r.project.Services[name]
	if !ok {
		r.fault("there is no service %s", name)
	}
	return s
}

func environment(s types.ServiceConfig) map[string]string {
	env := map[string]string{}
	for name, value := range s.Environment {
		if value != nil {
			env[name] = *value
		}
	}
	return env
}

func (r *review) paths() {
	for name, s := range r.project.Services {
		if s.Build != nil {
			if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
				r.fault("%s: no Dockerfile: %v", name, err)
			}
		}
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
				r.fault("%s: %s does not exist", name, v.Source)
			}
		}
	}
}

// images are the ports on which the images of others listen.
var images = map[string]uint32{
	"redis": 6379, "redis-commander": 8081, "prometheus": 9090, "grafana": 3000,
}

func (r *review) ports() {
	published := map[string]string{}
	for name, s := range r.project.Services {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				r.fault("%s: port %s is published to everybody", name, p.Published)
			}
			if other := published[p.Published]; other != "" {
				r.fault("port %s is published twice: %s, %s", p.Published, other, name)
			}
			published[p.Published] = name
			if want := images[name]; want != 0 && p.Target != want {
				r.fault("%s publishes %d and listens on %d", name, p.Target, want)
			}
		}
	}
}

func (r *review) redis() {
	s := r.service("redis")
	command := strings.Join(s.Command, " ")
	if !strings.Contains(command, "--appendonly yes") {
		r.fault("redis: appendonly is not on: %s", command)
	}
	if !slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Type == types.VolumeTypeVolume && v.Target == "/data"
	}) {
		r.fault("redis: no volume at /data")
	}
	password := r.password()
	if s.HealthCheck == nil ||
		!slices.Equal(s.HealthCheck.Test, []string{"CMD", "redis-cli", "-a", password, "ping"}) {
		r.fault("redis: no healthcheck, or one with another password")
	}
	switch hosts := environment(r.service("redis-commander"))["REDIS_HOSTS"]; {
	case !strings.HasPrefix(hosts, "local:redis:6379:0:"):
		r.fault("redis-commander does not connect to redis: %s", hosts)
	case hosts != "local:redis:6379:0:"+password:
		r.fault("redis-commander has another password")
	}
}

// password is that of the server.
func (r *review) password() string {
	command := r.service("redis").Command
	i := slices.Index(command, "--requirepass")
	if i < 0 || i+1 == len(command) {
		r.fault("redis has no password")
		return ""
	}
	return command[i+1]
}

func (r *review) game() {
	s := r.service("game")
	source, err := os.ReadFile("../gameapi/config.go")
	if err != nil {
		r.fault("%v", err)
	}
	env := environment(s)
	for name := range env {
		if !strings.Contains(string(source), `"`+name+`"`) {
			r.fault("the game has no variable %s", name)
		}
	}
	if dir := filepath.Dir(env["GAME_DB"]); !slices.Contains(s.Tmpfs, dir+":mode=1777") {
		r.fault("the game's user cannot write to %s", dir)
	}
	if len(s.Ports) > 0 {
		r.fault("the game can be reached past the sidecar")
	}
}

func (r *review) sidecar() {
	s := r.service("sidecar")
	env := environment(s)
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	c, err := config.Load(list, nil)
	if err != nil {
		r.fault("the sidecar would not start: %v", err)
		return
	}
	for _, p := range s.Ports {
		if ":"+fmt.Sprint(p.Target) != c.Listen && ":"+fmt.Sprint(p.Target) != c.Ops {
			r.fault("the sidecar publishes %d", p.Target)
		}
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(c.Backend.URL, "http://"), ":")
	if api := r.service(host); environment(api)["GAME_ADDR"] != ":"+port {
		r.fault("BACKEND_URL: the API does not listen there: %s", c.Backend.URL)
	}
	r.service(c.Redis.Host)
	if env["REDIS_PASSWORD"] != r.password() {
		r.fault("the sidecar has another password")
	}
	if env["JWT_SECRET"] != environment(r.service("game"))["JWT_SECRET"] {
		r.fault("JWT_SECRET is not that of the game")
	}
	if !slices.ContainsFunc(s.Volumes,
		func(v types.ServiceVolumeConfig) bool { return v.Target == c.Policies }) {
		r.fault("POLICIES_FILE is not mounted")
	}
	if s.HealthCheck == nil || len(s.HealthCheck.Test) < 3 ||
		s.HealthCheck.Test[1] != entrypoint() {
		r.fault("the sidecar's healthcheck does not run the program of the image")
	}
	if !s.ReadOnly {
		r.fault("the sidecar's root can be written")
	}
	if d, ok := s.DependsOn["redis"]; !ok || d.Condition != types.ServiceConditionHealthy {
		r.fault("the sidecar does not wait for a healthy Redis: its first requests would go past the cache")
	}
	if s.StopGracePeriod == nil ||
		*s.StopGracePeriod <= types.Duration(c.ShutdownDelay+c.Shutdown) {
		r.fault("the sidecar is killed before SHUTDOWN_TIMEOUT is over")
	}
}

// entrypoint is the program of the sidecar's image.
func entrypoint() string {
	content, _ := os.ReadFile("../../Dockerfile")
	m := regexp.MustCompile(`(?m)^ENTRYPOINT \["([^"]+)"\]$`).FindSubmatch(content)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// observers checks that Prometheus scrapes the sidecar, and that Grafana asks Prometheus.
func (r *review) observers() {
	var scrape struct {
		ScrapeConfigs []struct {
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	content, err := os.ReadFile("prometheus.yml")
	if err == nil {
		err = yaml.Unmarshal(content, &scrape)
	}
	if err != nil || len(scrape.ScrapeConfigs) != 1 ||
		!slices.Equal(scrape.ScrapeConfigs[0].Static[0].Targets, []string{"sidecar:9090"}) {
		r.fault("prometheus.yml does not scrape sidecar:9090: %v", err)
	}
	source, err := os.ReadFile("grafana/prometheus.yml")
	if err != nil || !regexp.MustCompile(`(?m)^    url: http://prometheus:9090$`).Match(source) {
		r.fault("grafana does not ask prometheus:9090: %v", err)
	}
	provider, err := os.ReadFile("dashboards/provider.yml")
	if err != nil || !strings.Contains(string(provider), "path: /var/lib/grafana/dashboards}") {
		r.fault("grafana is given no dashboard: %v", err)
	}
}
