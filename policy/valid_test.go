package policy

import (
	"path/filepath"
	"strings"
	"testing"
)

// The schema takes the example, the policies of the cluster, and every policies file in the docs
// that is valid.
func TestTheSchemaTakesTheFilesOfTheDocs(t *testing.T) {
	texts := map[string]string{}
	for _, file := range []string{"../policies.yaml", "../k8s/policies/policies.yaml"} {
		texts[file] = string(read(t, file))
	}
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "../README.md") {
		for block := range strings.SplitSeq(string(read(t, doc)), "```yaml\n") {
			if content, _, ok := strings.Cut(block, "```"); ok &&
				strings.HasPrefix(content, "version: 1") {
				texts[doc+": "+content] = content
			}
		}
	}
	taken := 0
	for name, content := range texts {
		if findings(t, name, content).Faulty() {
			continue
		}
		taken++
		if err := refusedBySchema(t, []byte(content)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if taken < 8 {
		t.Errorf("%d files", taken)
	}
}
