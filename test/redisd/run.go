package redisd

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// Run runs a package's tests with one server for all of them, and returns the exit status. Tests
// share it by key prefixes; a test that breaks its Redis starts another one.
func Run(m *testing.M, server **Server, opts ...Option) int {
	dir, err := os.MkdirTemp("", "redisd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p := &packageTB{dir: dir}
	defer p.end()
	*server = Start(p, opts...)
	return m.Run()
}

// A packageTB stands for all tests of a package. It has the methods that a Server calls.
type packageTB struct {
	testing.TB // nil: it is here for the method that nobody else can implement
	dir        string
	cleanups   []func()
}

func (p *packageTB) Helper() {}

func (p *packageTB) TempDir() string { return p.dir }

func (p *packageTB) Cleanup(f func()) { p.cleanups = append(p.cleanups, f) }

func (p *packageTB) Context() context.Context { return context.Background() }

func (p *packageTB) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (p *packageTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (p *packageTB) end() {
	for _, f := range p.cleanups {
		f()
	}
	_ = os.RemoveAll(p.dir)
}
