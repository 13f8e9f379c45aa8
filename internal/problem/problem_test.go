package problem_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"sidecar/internal/problem"
)

func TestProblem(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Status", "sidecar; fwd=bypass")
		w.Header().Set("Etag", `"of something else"`)
		problem.Write(w, http.StatusNotFound, `No "job" here.`)
	}))
	defer server.Close()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		t.Run(method, func(t *testing.T) {
			req, err := http.NewRequest(method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for name, want := range map[string]string{
				"Content-Type": "application/problem+json", "Cache-Control": "no-store",
				"Cache-Status": "sidecar; fwd=bypass", "Etag": "",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if resp.StatusCode != http.StatusNotFound || resp.ContentLength <= 0 {
				t.Errorf("status %d with length %d", resp.StatusCode, resp.ContentLength)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if method == http.MethodHead {
				return
			}
			var got map[string]any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if got["title"] != "Not Found" || got["status"] != 404.0 ||
				got["detail"] != `No "job" here.` || len(got) != 3 {
				t.Errorf("the document is %v", got)
			}
		})
	}
}
