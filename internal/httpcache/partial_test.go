package httpcache_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

func TestStoringParts(t *testing.T) { // RFC 9111 §3.3
	const some = "Content-Range: bytes 0-1/9"
	for _, tt := range []struct {
		rule     string
		request  *httpfield.Request
		response []string
		want     reason.Reason
	}{
		{"a part that was asked for", with("Range: bytes=0-1"), []string{minute, some}, ""},
		{"one that was not", nil, []string{minute, some}, reason.PartialContent},
		{"several parts in one", with("Range: bytes=0-1, 4-5"),
			[]string{minute, "Content-Type: multipart/byteranges; boundary=x"},
			reason.PartialContent},
		{"of a length that is unknown", with("Range: bytes=0-1"),
			[]string{minute, "Content-Range: bytes 0-1/*"}, reason.PartialContent},
		{"no-store", with("Range: bytes=0-1"), []string{minute, "Cache-Control: no-store", some},
			reason.ResponseNoStore},
		{"§5.2.2.3 must-understand: it is", with("Range: bytes=0-1"),
			[]string{minute, "Cache-Control: must-understand", some}, ""},
		{"without a lifetime", with("Range: bytes=0-1"), []string{some}, reason.NoLifetime},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			req := get()
			if tt.request != nil {
				req = *tt.request
			}
			check(t, "private",
				store(private, req, httpcache.Requester{}, response(206, tt.response...)), tt.want)
		})
	}
}

func TestWhatAPartCovers(t *testing.T) { // RFC 9111 §3.3: a range wholly within it
	const tag = `ETag: "a"`
	part := httpcache.Stored{
		Status: 206, Fields: fields(tag), ResponseTime: now, Offset: 10, Total: 100, Size: 20,
	}
	for _, tt := range []struct {
		rule    string
		request []string
		want    []httpcache.Part // none: it does not
	}{
		{"nothing but ranges", nil, nil},
		{"a range within it", []string{"Range: bytes=12-14"},
			[]httpcache.Part{{First: 12, Last: 14}}},
		{"all of it", []string{"Range: bytes=10-29"}, []httpcache.Part{{First: 10, Last: 29}}},
		{"a byte before", []string{"Range: bytes=9-14"}, nil},
		{"a byte behind", []string{"Range: bytes=12-30"}, nil},
		{"several ranges within it", []string{"Range: bytes=10-11, 20-21"},
			[]httpcache.Part{{First: 10, Last: 11}, {First: 20, Last: 21}}},
		{"several, one of them without", []string{"Range: bytes=10-11, 30-31"}, nil},
		{"up to the end", []string{"Range: bytes=12-"}, nil},
		{"the last bytes", []string{"Range: bytes=-5"}, nil},
		{"what is beyond the whole is the backend's to say", []string{"Range: bytes=100-"}, nil},
		{"another unit", []string{"Range: lines=12-14"}, nil},
		{"If-Range that holds", []string{"Range: bytes=12-14", `If-Range: "a"`},
			[]httpcache.Part{{First: 12, Last: 14}}},
		{"If-Range that does not", []string{"Range: bytes=12-14", `If-Range: "b"`}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := httpcache.Ranges(get(tt.request...), part, 20)
			if (got.Answer == httpcache.RangePartial) != (len(tt.want) > 0) ||
				!slices.Equal(got.Parts, tt.want) || got.Answer == httpcache.RangeUnsatisfiable {
				t.Errorf("%+v; want %v", got, tt.want)
			}
			if fits(get(tt.request...), part) != (len(tt.want) > 0) {
				t.Error("Evaluate says something else")
			}
		})
	}
	head := get("Range: bytes=12-14")
	head.Method = "HEAD"
	if fits(head, part) {
		t.Error("a HEAD is answered from a part")
	}
	if whole := (httpcache.Stored{
		Status: 200, Fields: fields(tag), ResponseTime: now, Size: 20,
	}); !fits(get(), whole) {
		t.Error("the whole covers nothing")
	}
}

func TestWhatIsCombined(t *testing.T) { // §3.4, RFC 9110 §15.3.7.3
	// 20 bytes
	part := httpcache.Stored{
		Status: 206, Fields: fields(`ETag: "a"`), ResponseTime: now, Offset: 10, Total: 100,
	}
	for _, tt := range []struct {
		rule   string
		fields []string
		first  int64
		last   int64
		total  int64
		want   bool
	}{
		{"what follows", []string{`ETag: "a"`}, 30, 39, 100, true},
		{"what goes before", []string{`ETag: "a"`}, 0, 9, 100, true},
		{"what overlaps", []string{`ETag: "a"`}, 20, 39, 100, true},
		{"what holds it", []string{`ETag: "a"`}, 0, 99, 100, true},
		{"not with a gap behind", []string{`ETag: "a"`}, 31, 39, 100, false},
		{"nor before", []string{`ETag: "a"`}, 0, 8, 100, false},
		{"nor of another representation", []string{`ETag: "b"`}, 30, 39, 100, false},
		{"nor by a weak ETag", []string{`ETag: W/"a"`}, 30, 39, 100, false},
		{"nor without", nil, 30, 39, 100, false},
		{"nor if the whole has another length", []string{`ETag: "a"`}, 30, 39, 101, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			_, _, ok := httpcache.Combine(part, 20, fields(tt.fields...),
				httpfield.ContentRange{First: tt.first, Last: tt.last, Total: tt.total})
			if ok != tt.want {
				t.Errorf("%v", ok)
			}
		})
	}
	weak := part
	weak.Fields = fields(`ETag: W/"a"`)
	if _, _, ok := httpcache.Combine(weak, 20, fields(`ETag: W/"a"`),
		httpfield.ContentRange{First: 30, Last: 39, Total: 100}); ok {
		t.Error("two weak ETags were taken for strong ones")
	}
}

func TestCombiningPutsEachByteInItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := []byte(fmt.Sprintf("%0100d", 0))
		for i := range whole {
			whole[i] = byte(i)
		}
		draw := func(name string) (from, to int) { // exclusive
			from = rapid.IntRange(0, 99).Draw(t, name)
			return from, rapid.IntRange(from+1, 100).Draw(t, name+" end")
		}
		oldFrom, oldTo := draw("old")
		newFrom, newTo := draw("new")
		s := httpcache.Stored{
			Status: 206, Fields: fields(`ETag: "a"`), Offset: int64(oldFrom), Total: 100,
		}
		old, fresh := whole[oldFrom:oldTo], whole[newFrom:newTo]
		before, behind, ok := httpcache.Combine(s, int64(len(old)), fields(`ETag: "a"`),
			httpfield.ContentRange{First: int64(newFrom), Last: int64(newTo - 1), Total: 100})
		if adjacent := newFrom <= oldTo && oldFrom <= newTo; ok != adjacent {
			t.Fatalf("%v", ok)
		}
		if !ok {
			return
		}
		got := slices.Concat(old[:before], fresh, old[int64(len(old))-behind:])
		if !bytes.Equal(got, whole[min(oldFrom, newFrom):max(oldTo, newTo)]) {
			t.Fatalf("%v and %v give %v", old, fresh, got)
		}
	})
}
