package jobs

import (
	"net/http"
	"reflect"
	"testing"
)

var wholeRequest = Request{
	Method: "POST", Target: "/api/v1/npc/generate?a=%zz&b=\xff", Host: "api.example:8080",
	Proto: "HTTP/1.1", RemoteAddr: "[::1]:4711",
	Fields:  http.Header{"X-Twice": {"1", "", "2"}, "X-Odd": {"caf\xe9"}, "X-None": {}},
	Trailer: http.Header{"X-Sum": {"9"}},
	Body:    []byte{0, 1, 2, 0xff},
}

func TestStoredFormsKeepEveryByte(t *testing.T) {
	req, err := decodeRequest(wholeRequest.encode())
	if err != nil || !reflect.DeepEqual(*req, wholeRequest) {
		t.Errorf("the request comes back as %+v, %v", req, err)
	}
	want := Response{
		Status: 201, Fields: http.Header{"Set-Cookie": {"a=1", "b=2"}}, Body: []byte("{}"),
	}
	resp, err := decodeResponse(want.encode())
	if err != nil || !reflect.DeepEqual(*resp, want) {
		t.Errorf("the response comes back as %+v, %v", resp, err)
	}
	if _, err := decodeRequest(want.encode()); err == nil {
		t.Error("a response is taken for a request")
	}
	if _, err := decodeResponse(wholeRequest.encode()); err == nil {
		t.Error("a request is taken for a response")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(wholeRequest.encode())
	f.Add((&Response{Status: 200, Fields: http.Header{"A": {"b"}}, Body: []byte("c")}).encode())
	f.Add([]byte{formatRequest, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if req, err := decodeRequest(b); err == nil {
			again, err := decodeRequest(req.encode())
			if err != nil || !reflect.DeepEqual(req, again) {
				t.Errorf("%+v does not come back: %+v, %v", req, again, err)
			}
		}
		if resp, err := decodeResponse(b); err == nil {
			again, err := decodeResponse(resp.encode())
			if err != nil || !reflect.DeepEqual(resp, again) {
				t.Errorf("%+v does not come back: %+v, %v", resp, again, err)
			}
		}
	})
}

func TestJobIDs(t *testing.T) {
	a, b := newID(), newID()
	if !ValidID(a) || !ValidID(b) || a == b {
		t.Errorf("new ids: %q, %q", a, b)
	}
	for _, s := range []string{
		"", a + "A", a[:21], a[:21] + "*", a[:21] + "/", "{" + a[1:], a[:21] + "\n", a[:21] + "B",
	} {
		if ValidID(s) {
			t.Errorf("%q is taken for an id", s)
		}
	}
}
