package policy

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

func jsonBody(text string) *Body {
	return NewBody([]byte(text), httpfield.Header{"Content-Type": {"application/json"}})
}

func zipped(t *testing.T, text string) *Body {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return NewBody(b.Bytes(),
		httpfield.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}})
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// placeholders are n templates that look into a body of their own field each.
func placeholders(n int, source string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"t%d:{%s.body.f%d}"`, i, source, i))
	}
	return strings.Join(list, ", ")
}

// fields is an object of about a mebibyte with the fields f0 to f7 at its end.
func fields() string {
	var b strings.Builder
	b.WriteString(`{"text":"`)
	b.WriteString(strings.Repeat("x", 1<<20-1000))
	b.WriteString(`"`)
	for i := range 8 {
		fmt.Fprintf(&b, `,"f%d":%d`, i, i)
	}
	return b.String() + "}"
}

// A body is unpacked and checked once for all placeholders and all methods of the plan: the work is
// counted in bytes allocated, since each look at a body takes a copy of it.
func TestABodyIsReadOnceForAllPlaceholders(t *testing.T) {
	use := func(n int) uint64 {
		table := table(t, "", `{match: PUT /a, invalidate: [`+placeholders(n, "request")+`, `+
			placeholders(n, "response")+`]}`)
		plan := table.Plan(request("PUT", "/a"), now)
		sent, answer := zipped(t, fields()), zipped(t, fields())
		return allocated(func() {
			plan.Write.Announced(sent)
			tags := plan.Write.Tags(sent, http.StatusOK, httpfield.Header{}, answer)
			if want := fmt.Sprintf("t%d:%d", n-1, n-1); !slices.Contains(texts(tags), want) {
				t.Fatalf("%q lack %s", texts(tags), want)
			}
			plan.Write.Unknown(sent)
		})
	}
	one, eight := use(1), use(8)
	if eight > one+one/4 {
		t.Errorf("8 placeholders: %d bytes, one: %d", eight, one)
	}
}

func TestAnAnswerIsReadOnceForAllPlaceholders(t *testing.T) {
	use := func(n int) uint64 {
		table := table(t, "", `{match: GET /a, cache: {scope: shared, max_body: 2MiB, tags: [`+
			placeholders(n, "response")+`]}}`)
		plan := table.Plan(request("GET", "/a"), now)
		body := zipped(t, fields())
		return allocated(func() {
			names, why := plan.Read.Names(body)
			if want := fmt.Sprintf("t%d:%d", n-1, n-1); why != "" ||
				!slices.Contains(texts(names), want) {
				t.Fatalf("%q lack %s (%s)", texts(names), want, why)
			}
		})
	}
	one, eight := use(1), use(8)
	if eight > one+one/4 {
		t.Errorf("8 placeholders: %d bytes, one: %d", eight, one)
	}
}

// Beyond the bound of names an answer's entry carries their guard, and the rest is not looked at.
func TestTooManyNamesInAnAnswerAreTheirGuard(t *testing.T) {
	table := table(t, "",
		`{match: GET /a, cache: {scope: shared, max_body: 2MiB, tags: ["a:{response.body.ids}"]}}`)
	list := func(n int, last string) *Body {
		return jsonBody(`{"ids":[` + strings.Repeat("1,", n-1) + last + `]}`)
	}
	for _, c := range []struct {
		body *Body
		want []string
		why  reason.Reason
	}{
		{list(maxNames, "2"), []string{"a:1", "a:2", "a:*"}, ""},
		{list(maxNames+1, "2"), []string{"a:#"}, ""},
		{list(400_000, "null"), []string{"a:#"}, ""},
		{list(maxNames, "null"), nil, reason.TagsUnfilled},
		{jsonBody(`{"ids":null}`), nil, reason.TagsUnfilled},
		{nil, nil, reason.TagsUnfilled},
	} {
		names, why := table.Plan(request("GET", "/a"), now).Read.Names(c.body)
		if why != c.why {
			t.Errorf("why %q, want %q", why, c.why)
		}
		wantTags(t, "names", names, c.want...)
	}
}

// Beyond the bound of tags a write drops the family, and the rest of the list is not looked at.
func TestTooManyNamesInAWriteAreTheirFamily(t *testing.T) {
	table := table(t, "",
		`{match: PUT /a, invalidate: ["a:{request.body.ids}", "b:{response.body.id}"]}`)
	long := jsonBody(`{"ids":[` + strings.Repeat("1,", 400_000) + `2]}`)
	plan := table.Plan(request("PUT", "/a"), now)
	first := allocated(func() { plan.Write.Announced(long) })
	if first > 4<<20 {
		t.Errorf("%d bytes for a list of 800 kB", first)
	}
	if again := allocated(func() { plan.Write.Unknown(long) }); again > 64<<10 {
		t.Errorf("%d bytes to look again", again)
	}
	wantTags(t, "tags", plan.Write.Tags(long, http.StatusOK, httpfield.Header{},
		jsonBody(`{"id":5.0}`)), "a:*", "b:5", "/a")
}

// Answers of one plan, which a connection may keep, add to their names apart from each other.
func TestTheNamesOfOneAnswerAreNotThoseOfAnother(t *testing.T) {
	read := table(t, "", `{match: GET /a, cache: {scope: shared, max_body: 2MiB, tags: [`+
		`"a:{response.body.ids}", "b:{response.body.ids}", "c:{response.body.ids}"]}}`).
		Plan(request("GET", "/a"), now).Read
	ids := make([]string, maxNames)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	body := jsonBody(`{"ids":[` + strings.Join(ids, ",") + `]}`)
	withName := func(name string) []cachekeys.Tag {
		names, why := read.Names(body)
		if why != "" {
			t.Fatal(why)
		}
		return append(names, cachekeys.Surrogate("a", name))
	}
	first := withName("one")
	withName("two")
	if got := first[len(first)-1]; got != cachekeys.Surrogate("a", "one") {
		t.Errorf("the name of the first answer is %v", got)
	}
}
