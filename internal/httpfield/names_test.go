package httpfield

import "testing"

func TestNamesWithAStarStandForAllThatBeginSo(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		has, fold     bool
	}{
		{"csrf", "csrf", true, true},
		{"csrf", "CSRF", false, true},
		{"csrf", "csrftoken", false, false},
		{"csrf*", "csrf", true, true},
		{"csrf*", "csrftoken", true, true},
		{"csrf*", "CSRFToken", false, true},
		{"csrf*", "xcsrf", false, false},
		{"csrf*", "csr", false, false},
		{"*", "anything", true, true},
		{"*", "", true, true},
		{"", "", true, true},
		{"", "x", false, false},
	} {
		names := Names{"other", c.pattern}
		if names.Has(c.name) != c.has || names.HasFold(c.name) != c.fold {
			t.Errorf("%q and %q: %t, without regard to case %t",
				c.pattern, c.name, names.Has(c.name), names.HasFold(c.name))
		}
	}
	if Names(nil).Has("x") {
		t.Error("no names have one")
	}
}
