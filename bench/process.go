package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Bounds of the start and of the end of a process.
const (
	startTimeout = 20 * time.Second
	endTimeout   = 15 * time.Second
)

// processes are all that a run starts, in a directory of their own.
type processes struct {
	dir     string
	started []*process
}

// A process is a server with its children.
type process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	exited chan struct{}
}

func newProcesses() (*processes, error) {
	dir, err := os.MkdirTemp("", "sidecar-bench-")
	if err != nil {
		return nil, err
	}
	// The workers of nginx have another user, if it is started as root.
	return &processes{dir: dir}, os.Chmod(dir, 0o777)
}

// file writes a configuration and returns its path.
func (ps *processes) file(name, content string) (string, error) {
	path := filepath.Join(ps.dir, name)
	return path, os.WriteFile(path, []byte(content), 0o644)
}

// start starts a server. stop ends it.
func (ps *processes) start(name string, env []string, argv ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(ps.dir, name+".log"), exited: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	ps.started = append(ps.started, p)
	go func() { // ends with the process, which stop ends
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// stop ends all processes and removes their files.
func (ps *processes) stop() {
	for _, p := range ps.started {
		p.signal(syscall.SIGINT) // the sidecar ends at once at SIGINT
	}
	for _, p := range ps.started {
		p.end()
	}
	_ = os.RemoveAll(ps.dir)
}

func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

func (p *process) end() {
	p.signal(syscall.SIGINT)
	select {
	case <-p.exited:
	case <-time.After(endTimeout):
		p.signal(syscall.SIGKILL)
		<-p.exited
	}
}

// await asks until there is no error.
func (p *process) await(ctx context.Context, ask func() error) error {
	deadline := time.After(startTimeout)
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.exited:
			return fmt.Errorf("%s ended: %s", p.name, p.tail())
		case <-deadline:
			return fmt.Errorf("%s: %w: %s", p.name, err, p.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tail is the end of the log.
func (p *process) tail() string {
	content, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(content[max(0, len(content)-1000):]))
}

// cpu is the CPU time of the processes and their children since their start, by the kernel's CPU
// clocks: they count as /proc/PID/stat does, in nanoseconds.
func cpu(ps ...*process) (sum time.Duration) {
	parents := parents()
	for _, p := range ps {
		for _, pid := range withChildren(p.cmd.Process.Pid, parents) {
			sum += clock(pid)
		}
	}
	return sum
}

// ticks are the times that the processes and their children spent outside the kernel and in it, in
// ticks of /proc/PID/stat. They are much coarser than cpu.
func ticks(ps ...*process) (user, system float64) {
	parents := parents()
	for _, p := range ps {
		for _, pid := range withChildren(p.cmd.Process.Pid, parents) {
			fields := statOf(fmt.Sprintf("/proc/%d/stat", pid))
			if len(fields) < 13 {
				continue
			}
			u, _ := strconv.ParseFloat(fields[11], 64)
			s, _ := strconv.ParseFloat(fields[12], 64)
			user, system = user+u, system+s
		}
	}
	return user, system
}

// parents has the parent of each process.
func parents() map[int]int {
	found := map[int]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		if fields := statOf(file); len(fields) > 1 {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			found[pid], _ = strconv.Atoi(fields[1])
		}
	}
	return found
}

// statOf are the fields of /proc/PID/stat that follow the name; the first is the state.
func statOf(file string) []string {
	content, _ := os.ReadFile(file) // the process may have ended
	i := strings.LastIndexByte(string(content), ')')
	return strings.Fields(string(content[i+1:]))
}

func withChildren(pid int, parents map[int]int) []int {
	family := []int{pid}
	for child, parent := range parents {
		if parent == pid {
			family = append(family, withChildren(child, parents)...)
		}
	}
	return family
}

// clock reads the CPU clock of another process, as clock_getcpuclockid(3) names it.
func clock(pid int) time.Duration {
	const sched = 2 // CPUCLOCK_SCHED: user and system time
	var ts syscall.Timespec
	id := int32(^pid)<<3 | sched
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(id),
		uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}

// resident is the resident memory of a process in bytes.
func (p *process) resident() int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	fields := strings.Fields(string(content))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// freeAddr is an address on the loopback with a free port, outside the range that the kernel takes
// for clients.
func freeAddr() (string, error) {
	var l net.Listener
	err := errors.New("no port is free")
	for range 100 {
		port := strconv.Itoa(22_000 + rand.IntN(10_000))
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

// find is the path of a program. Debian has some in /usr/sbin, which is not in every PATH.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, sbin := exec.LookPath("/usr/sbin/" + name); sbin == nil {
		return path, nil
	}
	return "", errors.Join(errMissing, err)
}

var errMissing = errors.New("not installed")
