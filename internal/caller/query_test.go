package caller_test

import (
	"strings"
	"testing"

	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

func TestAParameterOfTheQueryIsACredential(t *testing.T) {
	credential, err := caller.ParseCredential("query:token")
	if err != nil {
		t.Fatal(err)
	}
	c := caller.Default()
	c.Credentials = []caller.Credential{credential}
	i := identifier(t, c)
	who := func(query string) caller.Caller {
		return i.IdentifyRequest(httpfield.Request{Fields: fields(), Query: query, HasQuery: true},
			now)
	}
	alice := who("token=alice")
	if alice.Anonymous || alice.Bypass != "" || alice.ID != who("page=2&token=alice").ID ||
		alice.ID != who("token=%61lice").ID {
		t.Errorf("%+v", alice)
	}
	for _, query := range []string{
		"token=bob", "token=alice&token=bob", "token=alice&Token=bob", "Token=alice",
		"token[]=alice", "", "page=alice",
	} {
		if got := who(query); got.ID == alice.ID {
			t.Errorf("%q is alice", query)
		}
	}
	if !who("page=2").Anonymous {
		t.Error("without the parameter it is not anonymous")
	}
	if got := who(strings.Repeat("&", 2000) +
		"token=alice"); got.Bypass != reason.UndeclaredCaller {
		t.Errorf("among too many parameters: %+v", got)
	}
	if _, err := caller.ParseCredential("query:t*"); err == nil {
		t.Error("a prefix is no credential of the query")
	}
}
