package jobhook

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sidecar/internal/jobs"
	"sidecar/internal/problem"
	"sidecar/policy"
)

// documented are the status and the detail of each row of the table of bad requests in the docs.
// The number of bytes in a detail is that of the route.
func documented(t *testing.T) (rows []string) {
	t.Helper()
	page, err := os.ReadFile("../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "### Answers to bad requests\n")
	part, _, _ = strings.Cut(part, "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| .* \\| (\\d{3})(?: `(.*)`|, .*) \\|$").
		FindAllStringSubmatch(part, -1) {
		rows = append(rows, m[1]+" "+anyNumber(m[2]))
	}
	if len(rows) < 10 {
		t.Fatalf("%d rows", len(rows))
	}
	return rows
}

func anyNumber(detail string) string {
	return regexp.MustCompile(`\d+ bytes`).ReplaceAllString(detail, "N bytes")
}

func TestBadRequestsAreAnsweredAsTheDocsSay(t *testing.T) {
	var inACoding answer
	t.Run("a result in a coding", func(t *testing.T) { // with a queue of its own
		f := newFront(t, shared, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "deflate")
		}, nil)
		path := f.accept(alice)
		f.await(path, alice)
		inACoding = f.ask("GET", path+"/result", "", alice, "Accept-Encoding: gzip")
	})
	f := newFront(t, shared, nil, nil)
	mine := f.accept(alice, "Idempotency-Key: k")
	canceled := f.ask("POST", "/open", "a sword").fields.Get("Location")
	f.ask("DELETE", canceled, "")
	f.ask("POST", "/single", "")
	f.ask("POST", "/own", "", alice)
	uncertain := httptest.NewRecorder()
	f.answer(uncertain, httptest.NewRequest("POST", "/craft", nil),
		jobs.Submission{Job: &policy.JobPlan{}},
		jobs.Receipt{Outcome: jobs.Uncertain}, preference{})
	rows := documented(t)
	seen := map[string]bool{}
	for name, a := range map[string]answer{
		"a key with another body": f.ask("POST", "/craft", "a shield", alice,
			"Idempotency-Key: k"),
		"a long key": f.ask("POST", "/craft", "", alice,
			"Idempotency-Key: "+strings.Repeat("k", 10<<10)),
		"a long body":           f.ask("POST", "/open", strings.Repeat("x", 33), alice),
		"a full route":          f.ask("POST", "/single", "", bob),
		"a caller with many":    f.ask("POST", "/own", "", alice),
		"an unknown outcome":    {uncertain.Code, uncertain.Header(), uncertain.Body.String()},
		"an id in another form": f.ask("GET", "/_jobs/42", "", alice),
		"another method":        f.ask("PATCH", mine, "", alice),
		"a foreign page": f.ask("DELETE", mine, "", alice,
			"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"),
		"a result before the end":   f.ask("GET", mine+"/result", "", alice),
		"a canceled job's result":   f.ask("GET", canceled+"/result", ""),
		"a result in a coding":      inACoding,
		"an id that does not exist": f.ask("GET", "/_jobs/AAAAAAAAAAAAAAAAAAAAAA", "", alice),
	} {
		var doc struct{ Detail string }
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil ||
			a.fields.Get("Content-Type") != problem.ContentType {
			t.Errorf("%s: %d %v %s", name, a.status, a.fields, a.body)
		}
		row := strconv.Itoa(a.status) + " "
		if a.status != http.StatusNotFound { // the docs have its detail elsewhere
			row += anyNumber(doc.Detail)
		}
		if seen[row] = true; !slices.Contains(rows, row) {
			t.Errorf("%s: the docs do not have %s", name, row)
		}
		if wants := a.status == 429 || a.status == 503; wants && a.fields.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After: %v", name, a.fields)
		}
	}
	for _, row := range rows {
		if !seen[row] {
			t.Errorf("the docs have %s, and no request gets it", row)
		}
	}
}

func TestAnUploadThatIsTooLongForAJobGoesToTheAPI(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	upload := "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n" +
		strings.Repeat("x", 100) + "\r\n--b--\r\n"
	if a := f.ask("POST", "/craft", upload, alice,
		"Content-Type: multipart/form-data; boundary=b"); a.status != http.StatusTeapot ||
		f.passed != upload {
		t.Errorf("%d, and the API gets %q", a.status, f.passed)
	}
}

func TestTheAPIJudgesAnEmptyBody(t *testing.T) {
	f := newFront(t, shared, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			t.Errorf("the API gets %d bytes", r.ContentLength)
		}
		http.Error(w, "a prompt is missing", http.StatusBadRequest)
	}, nil)
	path := f.ask("POST", "/craft", "", alice).fields.Get("Location")
	if doc := f.await(path, alice); doc.Status != jobs.Failed || doc.Attempts != 1 ||
		*doc.LastError != "the backend answered 400 Bad Request" {
		t.Errorf("%+v", doc)
	}
	if a := f.ask("GET", path+"/result", "", alice); a.status != 400 ||
		a.body != "a prompt is missing\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
