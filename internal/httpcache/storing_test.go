package httpcache_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

const minute = "Cache-Control: max-age=60"

func TestStoring(t *testing.T) { // RFC 9111 §3
	head := get()
	head.Method = http.MethodHead
	post := get()
	post.Method = http.MethodPost
	for _, tt := range []struct {
		rule     string
		request  *httpfield.Request // nil: a plain GET
		status   int
		response []string
		private  reason.Reason // "": stored
		shared   reason.Reason
	}{
		{"an answer to a GET with a lifetime is stored", nil, 200, []string{minute}, "", ""},
		{"an answer to a HEAD is not", &head, 200, []string{minute}, reason.Method, reason.Method},
		{"an answer to a POST is not, whatever it says", &post, 200, []string{minute},
			reason.Method, reason.Method},
		{"without a lifetime it is not", nil, 200, nil, reason.NoLifetime, reason.NoLifetime},
		{"public alone gives none", nil, 200, []string{"Cache-Control: public"}, reason.NoLifetime,
			reason.NoLifetime},

		{"§5.2.2.5 no-store", nil, 200, []string{"Cache-Control: max-age=60, no-store"},
			reason.ResponseNoStore, reason.ResponseNoStore},
		{"§5.2.2.5 no-store on another line", nil, 200, []string{minute, "Cache-Control: NO-STORE"},
			reason.ResponseNoStore, reason.ResponseNoStore},
		{"§5.2.2.5 no-store in a quoted-string is none", nil, 200,
			[]string{`Cache-Control: max-age=60, a="b, no-store"`}, "", ""},
		{"§5.2.1.5 no-store in the request", with("Cache-Control: no-store"), 200, []string{minute},
			reason.RequestNoStore, reason.RequestNoStore},
		{"§5.2.1.4 no-cache in the request keeps nothing out", with("Cache-Control: no-cache"), 200,
			[]string{minute}, "", ""},

		{"§5.2.2.7 private", nil, 200, []string{"Cache-Control: max-age=60, private"}, "",
			reason.ResponsePrivate},
		{"§5.2.2.7 private wins over public", nil, 200,
			[]string{"Cache-Control: max-age=60, public, private"}, "", reason.ResponsePrivate},
		{"§5.2.2.7 private fields are for shared caches to leave out", nil, 200,
			[]string{`Cache-Control: max-age=60, private="x-user"`}, "", ""},
		{"§5.2.2.7 unless the rest cannot be read without them", nil, 200,
			[]string{`Cache-Control: max-age=60, private="content-encoding"`}, "",
			reason.ResponsePrivate},
		{"§5.2.2.7 private with names that cannot be read", nil, 200,
			[]string{`Cache-Control: max-age=60, private="x user"`}, "", reason.ResponsePrivate},

		{"§5.2.2.4 no-cache without anything to validate by", nil, 200,
			[]string{"Cache-Control: max-age=60, no-cache"}, reason.ResponseNoCache,
			reason.ResponseNoCache},
		{"§5.2.2.4 no-cache is validated by its ETag", nil, 200,
			[]string{"Cache-Control: max-age=60, no-cache", `ETag: "a"`}, "", ""},
		{"§5.2.2.4 or its Last-Modified", nil, 200,
			[]string{"Cache-Control: max-age=60, no-cache", "Last-Modified: " + ago(time.Hour)}, "",
			""},
		{"§5.2.2.4 not by an ETag that is none", nil, 200,
			[]string{"Cache-Control: max-age=60, no-cache", "ETag: a"}, reason.ResponseNoCache,
			reason.ResponseNoCache},
		{"§5.2.2.4 nor if it was not successful (RFC 9110 §13.2.1)", nil, 404,
			[]string{"Cache-Control: max-age=60, no-cache", `ETag: "a"`}, reason.ResponseNoCache,
			reason.ResponseNoCache},
		{"§5.2.2.4 no-cache fields are left out", nil, 200,
			[]string{`Cache-Control: max-age=60, no-cache="set-cookie"`}, "", ""},
		{"§5.2.2.4 unless the rest cannot be read without them", nil, 200,
			[]string{`Cache-Control: max-age=60, no-cache="x, vary"`}, reason.ResponseNoCache,
			reason.ResponseNoCache},
		{"§5.2.2.4 as a redirect without its target", nil, 301,
			[]string{`Cache-Control: max-age=60, no-cache="location"`},
			reason.ResponseNoCache, reason.ResponseNoCache},
		{"§5.4 Pragma in a response means nothing", nil, 200,
			[]string{minute, "Pragma: no-cache"}, "", ""},

		{"§3.5 credentials", with("Authorization: Bearer x"), 200, []string{minute}, "",
			reason.Authorized},
		{"§3.5 with public", with("Authorization: Bearer x"), 200,
			[]string{"Cache-Control: max-age=60, public"}, "", ""},
		{"§3.5 with must-revalidate", with("Authorization: Bearer x"), 200,
			[]string{"Cache-Control: max-age=60, must-revalidate"}, "", ""},
		{"§3.5 with s-maxage", with("Authorization: Bearer x"), 200,
			[]string{"Cache-Control: max-age=60, s-maxage=60"}, "", ""},
		{"§3.5 with proxy-revalidate, which does not allow it", with("Authorization: Bearer x"),
			200, []string{"Cache-Control: max-age=60, proxy-revalidate"}, "", reason.Authorized},
		{"§3.5 public does not lift private", with("Authorization: Bearer x"), 200,
			[]string{"Cache-Control: max-age=60, public, private"}, "", reason.ResponsePrivate},

		{"§4.1 Vary: *", nil, 200, []string{minute, "Vary: *"}, reason.VaryAny, reason.VaryAny},
		{"§4.1 Vary: * among names", nil, 200, []string{minute, "Vary: accept", "Vary: a, *"},
			reason.VaryAny, reason.VaryAny},
		{"§4.1 a Vary that cannot be read", nil, 200, []string{minute, "Vary: accept encoding"},
			reason.VaryAny, reason.VaryAny},
		{"§4.1 Vary with names", nil, 200, []string{minute, "Vary: Accept, Origin"}, "", ""},

		{"§5.2.2.3 must-understand and a status that is", nil, 200,
			[]string{"Cache-Control: max-age=60, must-understand"}, "", ""},
		{"§5.2.2.3 then no-store is for those who do not", nil, 200,
			[]string{"Cache-Control: max-age=60, no-store, must-understand"}, "", ""},
		{"§5.2.2.3 must-understand and a status that is not", nil, 299,
			[]string{"Cache-Control: max-age=60, must-understand"}, reason.MustUnderstand,
			reason.MustUnderstand},
		{"§5.2.2.3 the same with no-store", nil, 599,
			[]string{"Cache-Control: max-age=60, no-store, must-understand"}, reason.MustUnderstand,
			reason.MustUnderstand},

		{"§3.3 partial content", nil, 206, []string{minute, "Content-Range: bytes 0-1/9"},
			reason.PartialContent, reason.PartialContent},
		{"the whole, though a part was asked for", with("Range: bytes=0-1"), 200,
			[]string{minute}, "", ""},
		{"that the part is not there", with("Range: bytes=90-91"), 416, []string{minute},
			reason.StatusNotStorable, reason.StatusNotStorable},
		{"the backend judged a precondition", with("If-Match: \"a\""), 200, []string{minute},
			reason.Precondition, reason.Precondition},
		{"a condition of the client's cache keeps nothing out", with("If-None-Match: \"a\""), 200,
			[]string{minute}, "", ""},

		{"a Cache-Control that cannot be read", nil, 200,
			[]string{"Cache-Control: public; max-age=60"}, reason.BadDirectives,
			reason.BadDirectives},
		{"one that hides what follows", nil, 200,
			[]string{`Cache-Control: max-age=60, a="b, no-store`}, reason.BadDirectives,
			reason.BadDirectives},
		{"what it forbids is the better reason", nil, 200, []string{"Cache-Control: no-store; x"},
			reason.ResponseNoStore, reason.ResponseNoStore},
		{"one of the request", with("Cache-Control: max-age = 5"), 200, []string{minute},
			reason.BadDirectives, reason.BadDirectives},

		{"§4.2 expired when it came", nil, 200, []string{"Cache-Control: max-age=0"},
			reason.AgeExceedsLife, reason.AgeExceedsLife},
		{"§4.3 expired, to be validated", nil, 200,
			[]string{"Cache-Control: max-age=0", `ETag: "a"`}, "", ""},
		{"§4.3 without a lifetime, to be validated", nil, 200, []string{`ETag: "a"`}, "", ""},
		{"§3 but not if its status does not allow that", nil, 201, []string{`ETag: "a"`},
			reason.StatusNotStorable, reason.StatusNotStorable},
		{"§4.2.4 expired, to be served stale", nil, 200,
			[]string{"Cache-Control: max-age=0, stale-if-error=9"}, "", ""},
		{"§4.2.4 expired for longer than that", nil, 200,
			[]string{"Cache-Control: max-age=1, stale-if-error=9", "Age: 10"},
			reason.AgeExceedsLife, reason.AgeExceedsLife},
		{"§4.2.4 expired, and never to be served stale", nil, 200,
			[]string{"Cache-Control: max-age=0, stale-if-error=9, must-revalidate"},
			reason.AgeExceedsLife, reason.AgeExceedsLife},
		{"§4.2 as old as its lifetime", nil, 200, []string{minute, "Age: 60"},
			reason.AgeExceedsLife, reason.AgeExceedsLife},
		{"§4.2 a second younger", nil, 200, []string{minute, "Age: 59"}, "", ""},
		{"server-sent events are passed on as they come", nil, 200,
			[]string{minute, "Content-Type: text/event-stream"}, reason.Streamed, reason.Streamed},
		{"however their type is written", nil, 200,
			[]string{minute, "Content-Type: Text/Event-Stream ; charset=utf-8"},
			reason.Streamed, reason.Streamed},
		{"so is what asks for that", nil, 200, []string{minute, "Incremental: ?1"},
			reason.Streamed, reason.Streamed},
		{"and not what asks for nothing", nil, 200, []string{minute, "Incremental: ?0"}, "", ""},
		{"Set-Cookie is not judged here", nil, 200, []string{minute, "Set-Cookie: a=b"}, "", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			req := get()
			if tt.request != nil {
				req = *tt.request
			}
			check(t, "private", store(private, req, httpcache.Requester{},
				response(tt.status, tt.response...)), tt.private)
			check(t, "shared", store(shared, req, httpcache.Requester{},
				response(tt.status, tt.response...)), tt.shared)
		})
	}
}

// with is a GET with these field lines.
func with(lines ...string) *httpfield.Request {
	req := get(lines...)
	return &req
}

func check(t *testing.T, cache string, got httpcache.Storing, want reason.Reason) {
	t.Helper()
	if got.Why != want || got.Store != (want == "") {
		t.Errorf("%s cache: stored %v, reason %q; want %q", cache, got.Store, got.Why, want)
	}
}

// §3: final, and storable by their own definitions
func TestStatusesWithAStatedLifetime(t *testing.T) {
	never := map[int]string{
		206: "part of a response", 226: "a delta (RFC 3229)", 304: "no response of its own",
		412: "depends on a precondition", 416: "depends on Range",
		428: "RFC 6585 §3", 429: "RFC 6585 §4", 431: "RFC 6585 §5", 511: "RFC 6585 §6",
	}
	for status := 100; status < 700; status++ {
		_, refused := never[status]
		want := status >= 200 && status < 600 && !refused
		got := store(private, get(), httpcache.Requester{}, response(status, minute))
		if got.Store != want {
			t.Errorf("%d: stored %v (%s) %s", status, got.Store, got.Why, never[status])
		}
	}
}

func TestAuthorized(t *testing.T) { // §3.5 and what the policy changes
	plain, allowed := response(200, minute), response(200, "Cache-Control: max-age=60, public")
	for _, tt := range []struct {
		policy   httpcache.Authorized
		who      httpcache.Requester
		field    string
		response httpcache.Response
		want     reason.Reason
	}{
		{httpcache.AuthorizedRefuse, httpcache.Requester{}, "X: y", plain, ""},
		{httpcache.AuthorizedRefuse, httpcache.Requester{Credentials: true}, "Cookie: s=1", plain,
			reason.Authorized},
		{httpcache.AuthorizedRefuse, httpcache.Requester{Credentials: true, Verified: true},
			"Cookie: s=1", plain, reason.Authorized},
		{httpcache.AuthorizedRefuse, httpcache.Requester{Credentials: true},
			"Cookie: s=1", allowed, ""},
		{httpcache.AuthorizedVerified, httpcache.Requester{Credentials: true}, "Authorization: x",
			plain, reason.Authorized},
		{httpcache.AuthorizedVerified, httpcache.Requester{Credentials: true, Verified: true},
			"Authorization: x", plain, ""},
		{httpcache.AuthorizedVerified, httpcache.Requester{}, "Authorization: x", plain,
			reason.Authorized},
		{httpcache.AuthorizedPublic, httpcache.Requester{Credentials: true},
			"Authorization: x", plain, ""},
	} {
		t.Run(fmt.Sprintf("policy %d, %+v, %s", tt.policy, tt.who, tt.field), func(t *testing.T) {
			r := shared
			r.Authorized = tt.policy
			check(t, "shared", store(r, get(tt.field), tt.who, tt.response), tt.want)
		})
	}
}

func TestHowLongAResponseIsKeptBeyondItsLifetime(t *testing.T) { // §4.2.4, §4.3
	const etag = `ETag: "a"`
	policy := httpcache.Rules{
		StaleWhileRevalidate: time.Minute, StaleIfError: 2 * time.Minute,
		StaleIfUnreachable: 3 * time.Minute,
	}
	inShared := policy
	inShared.Shared = true
	for _, tt := range []struct {
		rule     string
		rules    httpcache.Rules
		response []string
		want     time.Duration
	}{
		{"not at all, if nothing can be done with it", private, []string{minute}, 0},
		{"to be validated, ten minutes at the least", private, []string{minute, etag},
			10 * time.Minute},
		{"as long again as its lifetime", private,
			[]string{"Cache-Control: max-age=3600", etag}, time.Hour},
		{"but no longer than a day", private,
			[]string{"Cache-Control: max-age=9999999", etag}, 24 * time.Hour},
		{"stale, as the response allows", private,
			[]string{"Cache-Control: max-age=60, stale-while-revalidate=30"}, 30 * time.Second},
		{"the longest of what is allowed", private,
			[]string{"Cache-Control: max-age=60, stale-while-revalidate=30, stale-if-error=40"},
			40 * time.Second},
		{"as the policy allows", policy, []string{minute}, 3 * time.Minute},
		{"not if the response forbids it", policy,
			[]string{"Cache-Control: max-age=60, must-revalidate"}, 0},
		{"which proxy-revalidate does not in a private cache", policy,
			[]string{"Cache-Control: max-age=60, proxy-revalidate"}, 3 * time.Minute},
		{"but does in a shared one", inShared,
			[]string{"Cache-Control: max-age=60, proxy-revalidate"}, 0},
		{"as does s-maxage", inShared, []string{"Cache-Control: s-maxage=60"}, 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := store(tt.rules, get(), httpcache.Requester{},
				response(200, tt.response...)); !got.Store || got.Retain != tt.want {
				t.Errorf("%+v; want %v", got, tt.want)
			}
		})
	}
}

func TestHowLongAResponseWithoutALifetimeIsExpectedToBeKept(t *testing.T) {
	for _, tt := range []struct {
		rules httpcache.Rules
		want  time.Duration
	}{
		{httpcache.Rules{TTL: time.Hour}, 2 * time.Hour}, // to be validated
		{httpcache.Rules{TTL: time.Minute, StaleIfError: time.Hour}, time.Hour + time.Minute},
		{httpcache.Rules{TTL: httpfield.MaxDelta}, httpfield.MaxDelta},
	} {
		if got := tt.rules.Expected(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.rules, got, tt.want)
		}
	}
}

func TestStoringGivesLifetimeAndAge(t *testing.T) {
	got := store(private, get(), httpcache.Requester{}, response(200, minute, "Age: 7"))
	if want := (httpcache.Storing{
		Store: true, Lifetime: time.Minute, InitialAge: 7 * time.Second,
	}); got != want {
		t.Errorf("%+v", got)
	}
}
