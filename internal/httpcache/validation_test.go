package httpcache_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
)

// held is a stored response with these fields.
func held(lines ...string) httpcache.Stored {
	return httpcache.Stored{
		Status: 200, Fields: fields(lines...), ResponseTime: now, Lifetime: time.Minute,
	}
}

func TestAsking(t *testing.T) { // RFC 9111 §4.3.1
	modified := ago(time.Hour)
	for _, tt := range []struct {
		rule   string
		stored []string
		dead   bool
		want   http.Header // empty: there is nothing to ask by
	}{
		{"by ETag", []string{`ETag: "a"`}, false, http.Header{"If-None-Match": {`"a"`}}},
		{"by a weak one", []string{`ETag: W/"a"`}, false, http.Header{"If-None-Match": {`W/"a"`}}},
		{"by Last-Modified", []string{"Last-Modified: " + modified}, false,
			http.Header{"If-Modified-Since": {modified}}},
		{"by both", []string{`ETag: "a"`, "Last-Modified: " + modified}, false,
			http.Header{"If-None-Match": {`"a"`}, "If-Modified-Since": {modified}}},
		{"by neither", []string{date}, false, http.Header{}},
		{"not by an ETag that is none", []string{"ETag: a"}, false, http.Header{}},
		{"nor by two", []string{`ETag: "a"`, `ETag: "b"`}, false, http.Header{}},
		{"nor by a date that is none", []string{"Last-Modified: yesterday"}, false, http.Header{}},
		{"what was written to since, by ETag", []string{`ETag: "a"`, "Last-Modified: " + modified},
			true, http.Header{"If-None-Match": {`"a"`}}},
		{"and not by a weak one, which may be made of a time", []string{`ETag: W/"a"`},
			true, http.Header{}},
		{"nor by Last-Modified, which has steps of a second",
			[]string{"Last-Modified: " + modified}, true, http.Header{}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			h := http.Header{}
			if asked := httpcache.SetValidators(h, held(tt.stored...),
				tt.dead); asked != (len(tt.want) > 0) || !reflect.DeepEqual(h, tt.want) {
				t.Errorf("%v, %v; want %v", asked, h, tt.want)
			}
		})
	}
}

func TestConfirming(t *testing.T) { // §4.3.4
	a, b := "Last-Modified: "+ago(time.Hour), "Last-Modified: "+ago(2*time.Hour)
	for _, tt := range []struct {
		rule   string
		stored []string
		update []string
		want   bool
		others bool // the same if others were asked about too
	}{
		{"the same strong ETag", []string{`ETag: "a"`}, []string{`ETag: "a"`}, true, true},
		{"another", []string{`ETag: "a"`}, []string{`ETag: "b"`}, false, false},
		{"a strong one is no weak one", []string{`ETag: W/"a"`},
			[]string{`ETag: "a"`}, false, false},
		{"the same weak ETag", []string{`ETag: W/"a"`}, []string{`ETag: W/"a"`}, true, true},
		{"a weak one for a strong one", []string{`ETag: "a"`}, []string{`ETag: W/"a"`}, true, true},
		{"the ETag decides, not Last-Modified", []string{`ETag: "a"`, a},
			[]string{`ETag: "b"`, a}, false, false},
		{"the ETag decides, though Last-Modified differs", []string{`ETag: "a"`, a},
			[]string{`ETag: "a"`, b}, true, true},
		{"an ETag where none is stored", []string{a}, []string{`ETag: "a"`, a}, false, false},
		{"an ETag that is none", []string{`ETag: "a"`}, []string{"ETag: a"}, false, false},
		{"two", []string{`ETag: "a"`}, []string{`ETag: "a"`, `ETag: "a"`}, false, false},
		{"the same Last-Modified", []string{a}, []string{a}, true, true},
		{"another Last-Modified", []string{a}, []string{b}, false, false},
		{"a Last-Modified where none is stored says nothing", []string{`ETag: "a"`},
			[]string{a}, true, false},
		{"nothing: it is about the one that was asked about", []string{`ETag: "a"`},
			nil, true, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := httpcache.Confirms(held(tt.stored...), fields(tt.update...),
				true); got != tt.want {
				t.Errorf("alone: %v", got)
			}
			if got := httpcache.Confirms(held(tt.stored...), fields(tt.update...),
				false); got != tt.others {
				t.Errorf("with others: %v", got)
			}
		})
	}
}

func TestUpdating(t *testing.T) { // §3.2
	for _, tt := range []struct {
		rule           string
		stored, update []string
		want           []string
	}{
		{"what is new is added", []string{"X-A: 1"}, []string{"X-B: 2"},
			[]string{"X-A: 1", "X-B: 2"}},
		{"what was there is replaced, all lines of it", []string{"X-A: 1", "X-A: 2"},
			[]string{"X-A: 3"}, []string{"X-A: 3"}},
		{"Cache-Control and Expires too", []string{minute, "Expires: 0"},
			[]string{"Cache-Control: max-age=9"},
			[]string{"Cache-Control: max-age=9", "Expires: 0"}},
		{"the length of the content stays", []string{"X-A: 1"}, []string{"Content-Length: 9"},
			[]string{"X-A: 1"}},
		{"its coding", []string{"Content-Encoding: gzip"}, []string{"Content-Encoding: br"},
			[]string{"Content-Encoding: gzip"}},
		{"its range", nil, []string{"Content-Range: bytes 0-1/2"}, nil},
		{"its type does not", []string{"Content-Type: a/b"}, []string{"Content-Type: a/c"},
			[]string{"Content-Type: a/c"}},
		{"§3.1 what is for one hop is no update", []string{"X-A: 1"},
			[]string{"Connection: close, x-a", "X-A: 2", "Keep-Alive: 5", "Transfer-Encoding: x"},
			[]string{"X-A: 1"}},
		{"Date is that of the update", []string{"Date: " + ago(time.Hour)},
			[]string{date}, []string{date}},
		{"or none", []string{"Date: " + ago(time.Hour)}, nil, nil},
		{"Vary is united: what a 304 forgets stays", []string{"Vary: Accept-Encoding"},
			[]string{"Vary: Origin"}, []string{"Vary: Origin", "Vary: Accept-Encoding"}},
		{"Vary is united: in any case, each once", []string{"Vary: accept-encoding, Origin"},
			[]string{"Vary: ORIGIN"}, []string{"Vary: ORIGIN", "Vary: Accept-Encoding"}},
		{"Vary is united: nothing is said", []string{"Vary: Origin"}, nil,
			[]string{"Vary: Origin"}},
		{"Vary is united: the same", []string{"Vary: Origin"}, []string{"Vary: Origin"},
			[]string{"Vary: Origin"}},
		{"Vary is united: one cannot be read", []string{"Vary: a b"}, []string{"Vary: Origin"},
			[]string{"Vary: *"}},
		{"Age comes with the update alone", nil, []string{"Age: 5"}, []string{"Age: 5"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			stored := held(tt.stored...)
			before := fields(tt.stored...)
			if got, want := httpcache.Updated(stored, fields(tt.update...)),
				http.Header(fields(tt.want...)); !reflect.DeepEqual(got, want) {
				t.Errorf("%v; want %v", got, want)
			}
			if !reflect.DeepEqual(stored.Fields, before) {
				t.Errorf("the stored fields were changed: %v", stored.Fields)
			}
		})
	}
}

func TestAnUpdateIsAsOldAsItself(t *testing.T) { // §4.2.3 with the update's Date and Age
	stored := held(minute, "Date: "+ago(24*time.Hour))
	for age, update := range map[time.Duration]httpfield.Header{
		0: fields(), 7 * time.Second: fields("Age: 7"),
		9 * time.Second: fields("Date: " + ago(9*time.Second)),
	} {
		answer := httpcache.Response{
			Status: 200, Fields: httpfield.Header(httpcache.Updated(stored, update)),
			RequestTime: now, ResponseTime: now,
		}
		if got := store(private, get(), httpcache.Requester{}, answer); !got.Store ||
			got.InitialAge != age || got.Lifetime != time.Minute {
			t.Errorf("%v: %+v", update, got)
		}
	}
}

func TestTheAnswerToAHead(t *testing.T) { // §4.3.5
	const silent, same, other = httpcache.Silent, httpcache.Same, httpcache.Other
	a, b := "Last-Modified: "+ago(time.Hour), "Last-Modified: "+ago(2*time.Hour)
	for _, tt := range []struct {
		rule       string
		stored     []string
		head       []string
		want, dead httpcache.Agreement // dead: the same if it was written to since
	}{
		{"names everything", []string{`ETag: "a"`, a},
			[]string{`ETag: "a"`, a, "Content-Length: 5"}, same, same},
		{"names nothing", []string{`ETag: "a"`, a}, nil, silent, silent},
		{"names its length alone", []string{`ETag: "a"`, a},
			[]string{"Content-Length: 5"}, same, silent},
		{"names another ETag", []string{`ETag: "a"`, a}, []string{`ETag: "b"`, a}, other, other},
		{"names an ETag where none was", []string{a}, []string{`ETag: "a"`, a}, other, other},
		{"names another Last-Modified", []string{`ETag: "a"`, a},
			[]string{`ETag: "a"`, b}, other, other},
		{"names Last-Modified alone", []string{`ETag: "a"`, a}, []string{a}, same, silent},
		{"names a weak ETag", []string{`ETag: W/"a"`}, []string{`ETag: W/"a"`}, same, silent},
		{"names another length", []string{`ETag: "a"`},
			[]string{`ETag: "a"`, "Content-Length: 6"}, other, other},
		{"names two lengths", nil, []string{"Content-Length: 5", "Content-Length: 5"}, other,
			other},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := httpcache.Agrees(held(tt.stored...), 5, fields(tt.head...),
				false); got != tt.want {
				t.Errorf("alive: %v", got)
			}
			if got := httpcache.Agrees(held(tt.stored...), 5, fields(tt.head...),
				true); got != tt.dead {
				t.Errorf("dead: %v", got)
			}
		})
	}
}
