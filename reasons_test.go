package sidecar_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sidecar/internal/reason"
)

var update = flag.Bool("update", false, "write the generated pages anew")

const (
	reasonPackage = "internal/reason"
	reasonsPage   = "docs/reasons.md"
)

// syntax parses a Go file.
func syntax(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// declaredReasons are the constants of type Reason in package reason, by their names in Go.
func declaredReasons(t *testing.T) map[string]reason.Reason {
	t.Helper()
	found := map[string]reason.Reason{}
	for _, file := range packages(t)[reasonPackage] {
		ast.Inspect(syntax(t, file), func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			kind, isNamed := spec.Type.(*ast.Ident)
			value, isText := spec.Values[0].(*ast.BasicLit)
			if !isNamed || kind.Name != "Reason" || !isText {
				return true
			}
			text, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[spec.Names[0].Name] = reason.Reason(text)
			return true
		})
	}
	if len(found) < 60 {
		t.Fatalf("only %d reasons were found", len(found))
	}
	return found
}

func TestEveryReasonIsExplainedOnce(t *testing.T) {
	explained := map[reason.Reason]int{}
	for _, g := range reason.Groups() {
		for _, m := range g.Meanings {
			explained[m.Reason]++
			if m.Says == "" || strings.HasSuffix(m.Says, ".") ||
				strings.Contains(m.Says+m.Remedy, "|") {
				t.Errorf("%s is explained by %q", m.Reason, m.Says)
			}
			if m.Remedy != "" && !strings.HasSuffix(m.Remedy, ".") {
				t.Errorf("%s: the remedy is no sentence: %q", m.Reason, m.Remedy)
			}
		}
	}
	for name, r := range declaredReasons(t) {
		if explained[r] != 1 {
			t.Errorf("reason.%s (%s) is explained %d times", name, r, explained[r])
		}
		delete(explained, r)
	}
	for r := range explained {
		t.Errorf("%s is explained, and is no reason", r)
	}
}

func TestEveryReasonIsGivenBySomeCode(t *testing.T) {
	declared := declaredReasons(t)
	used := map[string]bool{}
	for pkg, files := range packages(t) {
		for _, file := range files {
			if pkg == reasonPackage {
				continue
			}
			ast.Inspect(syntax(t, file), func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					if of, ok := n.X.(*ast.Ident); ok && of.Name == "reason" {
						used[n.Sel.Name] = true
					}
				case *ast.CallExpr: // reason.Reason("words of its own")
					of, ok := n.Fun.(*ast.SelectorExpr)
					if ok && of.Sel.Name == "Reason" && len(n.Args) == 1 {
						refuseOwnWords(t, file, of, n.Args[0])
					}
				}
				return true
			})
		}
	}
	for name, r := range declared {
		if !used[name] {
			t.Errorf("reason.%s (%s) is given nowhere", name, r)
		}
	}
}

// refuseOwnWords reports a reason that is not made from the list.
func refuseOwnWords(t *testing.T, file string, of *ast.SelectorExpr, arg ast.Expr) {
	t.Helper()
	pkg, isPackage := of.X.(*ast.Ident)
	text, isText := arg.(*ast.BasicLit)
	if isPackage && pkg.Name == "reason" && isText && text.Value != `""` {
		t.Errorf("%s makes a reason of its own: %s", file, text.Value)
	}
}

func TestTheDocsNameOnlyReasonsThatExist(t *testing.T) {
	named, found := regexp.MustCompile("`detail=([a-z-]+)"), 0
	for _, page := range pages(t) {
		for _, m := range named.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if _, ok := reason.Reason(m[1]).Meaning(); !ok {
				t.Errorf("%s names detail=%s, which is no reason", page, m[1])
			}
		}
	}
	if found < 3 {
		t.Errorf("only %d reasons were found", found)
	}
}

// After a change of the list: go test . -run Reasons -update
func TestTheReasonsPageIsThatOfTheCode(t *testing.T) {
	var want strings.Builder
	if err := reason.WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(reasonsPage, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, reasonsPage) != want.String() {
		t.Errorf("%s is not that of the code: go test . -run Reasons -update", reasonsPage)
	}
}
