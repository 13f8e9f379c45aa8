package e2e_test

import (
	"debug/elf"
	"errors"
	"testing"

	"sidecar/test/proc"
)

// The linker leaves out the exported methods that nobody calls, until one function that is linked
// asks for a method by a name that is only known at run time. It then keeps them all, which makes
// the program half as large again.
func TestTheProgramHasNoMethodsThatNobodyCalls(t *testing.T) {
	program, err := elf.Open(proc.Build(t, "../../cmd/sidecar"))
	var format *elf.FormatError
	if errors.As(err, &format) {
		t.Skip("its symbols are read from ELF alone: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	symbols, err := program.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	const called = "github.com/redis/go-redis/v9.(*Client).EvalSha"
	const uncalled = "github.com/redis/go-redis/v9.(*Client).FTHybrid"
	found := map[string]bool{}
	for _, s := range symbols {
		found[s.Name] = true
	}
	if !found[called] {
		t.Errorf("%s is missing: name another method that is called", called)
	}
	if found[uncalled] {
		t.Errorf("%s is there. What asks for methods by name stands, before <ReflectMethod>, in\n"+
			"go build -ldflags=-dumpdep -o /dev/null ./cmd/sidecar", uncalled)
	}
}
