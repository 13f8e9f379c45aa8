package entry

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/internal/httpfield"
)

var _ httpfield.Fields = (*Entry)(nil)

// made is an entry with a bit of everything.
func made(t testing.TB, body []byte) *Entry {
	t.Helper()
	e, err := New(200, http.Header{
		"Content-Type": {"application/json"},
		"Date":         {"Sun, 06 Nov 1994 08:49:37 GMT"},
		"Etag":         {`"a"`},
		"Link":         {"<1>", "<2>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Vary = []string{"Accept", "Origin"}
	e.Cookies = []string{"csrf_token"}
	e.ResponseTime = At(time.Unix(1_700_000_000, 123_456_789))
	e.InitialAge, e.Lifetime, e.Until = 3*time.Second, time.Hour, At(time.Unix(1_700_001_000, 1))
	e.Body = body
	return e
}

// same compares two entries by their exported parts.
func same(t interface{ Errorf(string, ...any) }, got, want *Entry) {
	if got.Status != want.Status || got.ResponseTime != want.ResponseTime ||
		got.InitialAge != want.InitialAge || got.Lifetime != want.Lifetime ||
		got.Until != want.Until ||
		got.Offset != want.Offset || got.Total != want.Total {
		t.Errorf("got %d %v %v %v; want %d %v %v %v",
			got.Status, got.ResponseTime, got.InitialAge, got.Lifetime,
			want.Status, want.ResponseTime, want.InitialAge, want.Lifetime)
	}
	if !reflect.DeepEqual(got.Vary, want.Vary) || !reflect.DeepEqual(got.Cookies, want.Cookies) {
		t.Errorf("got names %q %q; want %q %q", got.Vary, got.Cookies, want.Vary, want.Cookies)
	}
	if string(got.Head()) != string(want.Head()) ||
		!reflect.DeepEqual(got.Fields(), want.Fields()) {
		t.Errorf("got head %q %q; want %q %q", got.Head(), got.Fields(), want.Head(), want.Fields())
	}
	if !reflect.DeepEqual(got.Chunks, want.Chunks) || got.Size() != want.Size() {
		t.Errorf("got %d bytes in %+v; want %d in %+v",
			got.Size(), got.Chunks, want.Size(), want.Chunks)
	}
	if string(got.Body) != string(want.Body) {
		t.Errorf("got a body of %d bytes; want %d: %.60q, %.60q",
			len(got.Body), len(want.Body), got.Body, want.Body)
	}
}

func TestHeadHoldsWhatEveryAnswerRepeats(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		fields http.Header
		want   string
	}{
		{"no fields", nil, ""},
		{"sorted by name", http.Header{"B": {"2"}, "A": {"1"}}, "A: 1\r\nB: 2\r\n"},
		{"values in their order, each on its line", http.Header{"Link": {"z", "a", "z"}},
			"Link: z\r\nLink: a\r\nLink: z\r\n"},
		{"a name without values", http.Header{"A": {}}, ""},
		{"an empty value", http.Header{"A": {""}}, "A: \r\n"},
		{"white space around a value is none of it (RFC 9110 §5.5)",
			http.Header{"A": {" \ta b\t"}}, "A: a b\r\n"},
		{"bytes over 0x7f and tabs pass (RFC 9110 §5.5)", http.Header{"A": {"x\t\xff\xc3\xa9"}},
			"A: x\t\xff\xc3\xa9\r\n"},
		{"unusual names pass", http.Header{"X_y!": {"1"}, "9a": {"2"}}, "9a: 2\r\nX_y!: 1\r\n"},
		{"the length is that of each answer's content",
			http.Header{"Content-Length": {"5"}, "A": {"1"}}, "A: 1\r\n"},
		{"framing and what is for one hop are not repeated (RFC 9110 §7.6.1)", http.Header{
			"Transfer-Encoding": {"chunked"}, "Trailer": {"X"}, "Connection": {"close"},
			"Keep-Alive": {"1"}, "Upgrade": {"x"}, "Te": {"x"},
			"Proxy-Connection": {"x"}, "Proxy-Authenticate": {"x"}, "A": {"1"}}, "A: 1\r\n"},
		{"Age is computed anew (RFC 9111 §5.1)",
			http.Header{"Age": {"5"}, "Date": {"x"}}, "Date: x\r\n"},
		{"what an upstream cache did is kept (RFC 9211 §2)",
			http.Header{"Cache-Status": {"cdn; hit"}}, "Cache-Status: cdn; hit\r\n"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			e, err := New(200, tt.fields)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(e.Head()); got != tt.want {
				t.Errorf("got %q; want %q", got, tt.want)
			}
		})
	}
}

func TestWhatCannotBeSentIsNotStored(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		status int
		fields http.Header
	}{
		{"an informational status", 103, nil},
		{"no status", 0, nil},
		{"a status of four digits", 1000, nil},
		{"a line end in a value", 200, http.Header{"A": {"1\r\nSet-Cookie: x"}}},
		{"a bare LF", 200, http.Header{"A": {"1\nB: 2"}}},
		{"a bare CR", 200, http.Header{"A": {"1\r2"}}},
		{"a NUL", 200, http.Header{"A": {"\x00"}}},
		{"a DEL", 200, http.Header{"A": {"\x7f"}}},
		{"a colon in a name", 200, http.Header{"A: b": {"1"}}},
		{"a space in a name", 200, http.Header{"A b": {"1"}}},
		{"an empty name", 200, http.Header{"": {"1"}}},
		{"a name in another spelling, which might be a framing field", 200,
			http.Header{"content-length": {"1"}}},
		{"and within a word", 200, http.Header{"Content-LEngth": {"1"}}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if e, err := New(tt.status, tt.fields); e != nil || !errors.Is(err, ErrFields) {
				t.Errorf("got %v, %v", e, err)
			}
		})
	}
}

func TestErrorsDoNotRepeatValues(t *testing.T) {
	_, err := New(200, http.Header{"Set-Cookie": {"session=secret\x01"}})
	if err == nil || strings.Contains(err.Error(), "secret") ||
		!strings.Contains(err.Error(), "Set-Cookie") {
		t.Errorf("got %v", err)
	}
}

func TestNewCopiesTheFields(t *testing.T) {
	fields := http.Header{"A": {"1"}}
	e, err := New(200, fields)
	if err != nil {
		t.Fatal(err)
	}
	fields["A"][0] = "2"
	fields.Set("B", "3")
	if want := (http.Header{"A": {"1"}}); !reflect.DeepEqual(e.Fields(), want) {
		t.Errorf("got %v", e.Fields())
	}
}

func TestFieldsAreThoseOfTheHead(t *testing.T) {
	e := made(t, nil)
	want := http.Header{
		"Content-Type": {"application/json"}, "Date": {"Sun, 06 Nov 1994 08:49:37 GMT"},
		"Etag": {`"a"`}, "Link": {"<1>", "<2>"},
	}
	if !reflect.DeepEqual(e.Fields(), want) {
		t.Errorf("got %q", e.Fields())
	}
	if got := e.Values("Link"); !reflect.DeepEqual(got, []string{"<1>", "<2>"}) ||
		e.Values("X") != nil {
		t.Errorf("got %q", got)
	}
	all := http.Header{}
	for name, values := range e.All() {
		all[name] = values
	}
	if !reflect.DeepEqual(all, want) {
		t.Errorf("got %q", all)
	}
	for range e.All() {
		break
	}
}

func TestAppendingToAViewChangesNoOther(t *testing.T) {
	for _, body := range []string{"body", strings.Repeat("long body ", 300)} {
		record := made(t, []byte(body)).Encode(nil)
		buffer := append(record, "what the caller has behind it"...)
		e, err := Decode(buffer[:len(record)], anyLength)
		if err != nil {
			t.Fatal(err)
		}
		_ = append(e.Body, "overwritten"...)
		_ = append(e.Fields()["Link"], "overwritten")
		_ = append(e.Fields()["Content-Type"], "overwritten")
		same(t, e, made(t, []byte(body)))
		if got := string(buffer[len(record):]); got != "what the caller has behind it" {
			t.Errorf("the caller's buffer was written to: %q", got)
		}
	}
}

// Fields that are added use the room that they are given, once it is large enough.
func TestFieldsAreAddedInTheRoomThatIsThere(t *testing.T) {
	e, h := made(t, nil), http.Header{"Age": {"7"}}
	room := e.AddTo(h, nil)
	want := e.Fields()
	want["Age"] = []string{"7"}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %q, want %q", h, want)
	}
	clear(h)
	if allocated := testing.AllocsPerRun(100, func() { room = e.AddTo(h, room) }); allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
	delete(want, "Age")
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got %q, want %q", h, want)
	}
}

// A compact entry keeps neither a record nor spare room, and is otherwise the same.
func TestACompactEntryKeepsNothingElse(t *testing.T) {
	decoded, err := Decode(made(t, []byte("of a record")).Encode(nil), anyLength)
	if err != nil {
		t.Fatal(err)
	}
	roomy, tight, empty := made(t, nil), made(t, nil), made(t, nil)
	roomy.Body = append(make([]byte, 0, 1000), "with spare room"...)
	tight.Body = make([]byte, 900, 1000)
	for name, c := range map[string]struct {
		e     *Entry
		moves bool
	}{"a view": {decoded, true}, "spare room": {roomy, true}, "tight": {tight, false},
		"empty": {empty, false}} {
		got := c.e.Compact()
		same(t, got, c.e)
		if got.IsView() {
			t.Errorf("%s: the body is a view", name)
		}
		if n := cap(got.Body); n > len(got.Body)*9/8+16 {
			t.Errorf("%s: a body of %d bytes has room for %d", name, len(got.Body), n)
		}
		if moves := len(got.Body) > 0 && &got.Body[0] != &c.e.Body[0]; moves != c.moves {
			t.Errorf("%s: the body moves: %v", name, moves)
		}
	}
}

func TestManyReadersOfOneEntry(t *testing.T) {
	e := made(t, nil)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			if got := httpfield.First(e, "Etag"); got != `"a"` {
				t.Errorf("got %q", got)
			}
		})
	}
	readers.Wait()
}
