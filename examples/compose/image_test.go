package compose

import (
	"debug/elf"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidecar/internal/config"
	"sidecar/test/proc"
)

var buildImage = flag.Bool("image.build", false, "run the steps of the Dockerfile")

const root = "../.."

// A step is an instruction of a Dockerfile.
type step struct{ instruction, args string }

// stages are the steps of the image's Dockerfile, by stage.
func stages(t *testing.T) (found [][]step) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		instruction, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case instruction == "" || strings.HasPrefix(instruction, "#"):
		case instruction == "FROM":
			found = append(found, []step{{instruction, args}})
		default:
			found[len(found)-1] = append(found[len(found)-1], step{instruction, args})
		}
	}
	if len(found) != 2 {
		t.Fatalf("%d stages", len(found))
	}
	return found
}

// of returns the argument of the stage's only such instruction.
func of(t *testing.T, stage []step, instruction string) string {
	t.Helper()
	i := slices.IndexFunc(stage, func(s step) bool { return s.instruction == instruction })
	if i < 0 {
		t.Fatalf("there is no %s", instruction)
	}
	return stage[i].args
}

func TestTheImageHasTheProgramAndNothingElse(t *testing.T) {
	all := stages(t)
	build, image := all[0], all[1]
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))[1]
	if from := of(t, build, "FROM"); !strings.HasPrefix(from, "golang:"+goVersion+"-") {
		t.Errorf("it is built by %s, and go.mod wants %s", from, goVersion)
	}
	// which has no shell
	if from := of(t, image, "FROM"); !strings.HasPrefix(from, "gcr.io/distroless/static-") {
		t.Errorf("the image is made from %s", from)
	}
	if slices.ContainsFunc(image, func(s step) bool { return s.instruction == "RUN" }) {
		t.Error("something is run in the image")
	}
	// a number: runAsNonRoot cannot check a name
	if user := of(t, image, "USER"); user != "65532:65532" {
		t.Errorf("its user is %s", user)
	}
	if copied, entry := of(t, image, "COPY"), of(t, image,
		"ENTRYPOINT"); copied != "--from=build /sidecar /sidecar" || entry != `["/sidecar"]` {
		t.Errorf("it has %s and starts %s", copied, entry)
	}
	c, err := config.Load([]string{"REDIS_EMBEDDED=true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ports := of(t, image, "EXPOSE"); ports != strings.TrimPrefix(c.Listen, ":")+" "+
		strings.TrimPrefix(c.Ops, ":") {
		t.Errorf("it exposes %s", ports)
	}
}

// maxImage bounds the program, which is nearly all of the image.
const maxImage = 27 << 20

// The steps of the Dockerfile are run one by one, in a copy of Docker's build context.
func TestTheStepsOfTheImage(t *testing.T) {
	if !*buildImage {
		t.Skip("with -image.build: it compiles everything anew")
	}
	all := stages(t)
	source, rootfs := t.TempDir(), t.TempDir()
	copyContext(t, source)
	program := filepath.Join(rootfs, "sidecar")
	for _, s := range all[0] {
		if s.instruction != "RUN" {
			continue
		}
		command := exec.Command("sh", "-c",
			strings.Replace(s.args, "-o /sidecar", "-o "+program, 1))
		command.Dir, command.Env = source, append(os.Environ(), "VERSION=v1.2.3")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", s.args, err, out)
		}
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the program has %.1f MiB", float64(info.Size())/(1<<20))
	if info.Size() > maxImage {
		t.Errorf("the program has %d bytes", info.Size())
	}
	binary, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	if slices.ContainsFunc(binary.Progs,
		func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program is not static")
	}
	if out, err := exec.Command(program, "version").Output(); err != nil ||
		!strings.Contains(string(out), "v1.2.3") {
		t.Errorf("its version is %s %v", out, err)
	}
	startIn(t, rootfs)
}

// copyContext copies the files that .dockerignore leaves.
func copyContext(t *testing.T, to string) {
	t.Helper()
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if slices.Contains(strings.Fields(string(ignored)), e.Name()) {
			continue
		}
		if out, err := exec.Command("cp", "-a", filepath.Join(root, e.Name()),
			to).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
}

// startIn starts the program as the image's user in a root that has nothing else, and that the
// user cannot write to.
func startIn(t *testing.T, rootfs string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can change the root of a process")
	}
	policies := filepath.Join(rootfs, "etc/sidecar")
	if err := os.MkdirAll(policies, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(policies, "policies.yaml"),
		[]byte("version: 1\nroutes: []\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	data, ops := freePort(t), freePort(t)
	command := exec.Command("/sidecar", "run")
	command.Dir = "/"
	command.Env = []string{
		"REDIS_EMBEDDED=true", "POLICIES_FILE=/etc/sidecar/policies.yaml",
		"READY_REQUIRES_BACKEND=never", "SHUTDOWN_DELAY=0",
		"LISTEN_ADDR=127.0.0.1:" + data, "OPS_ADDR=127.0.0.1:" + ops,
	}
	command.SysProcAttr = &syscall.SysProcAttr{
		Chroot: rootfs, Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
		Pdeathsig: syscall.SIGKILL,
	}
	log := new(strings.Builder)
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	proc.Await(t, 20*time.Second, func() error {
		resp, err := http.Get("http://127.0.0.1:" + ops + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s", resp.Status)
		}
		return nil
	})
	_ = command.Process.Signal(syscall.SIGTERM)
	if err := command.Wait(); err != nil {
		t.Errorf("it ended with %v:\n%s", err, log.String())
	}
	var files []string
	_ = filepath.WalkDir(rootfs, func(path string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, rootfs))
		}
		return nil
	})
	if want := []string{"/etc/sidecar/policies.yaml", "/sidecar"}; !slices.Equal(files, want) {
		t.Errorf("it left %q", files)
	}
}
