package wire_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// converse sends the input in pieces behind a first request, and returns all that comes back.
func converse(t *testing.T, l net.Listener, input []byte, pieces uint64) []byte {
	t.Helper()
	dialled, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	_ = dialled.SetDeadline(time.Now().Add(patience))
	c := dialled.(*net.UnixConn)
	cut := rand.New(rand.NewPCG(pieces, 1))
	go func() { // ends with the connection
		_, _ = io.WriteString(c, warm)
		time.Sleep(time.Duration(pieces%3) * 200 * time.Microsecond)
		for len(input) > 0 {
			n := 1 + cut.IntN(len(input))
			if pieces%2 == 0 {
				n = len(input)
			}
			if _, err := c.Write(input[:n]); err != nil {
				return
			}
			input = input[n:]
		}
		_ = c.CloseWrite()
	}()
	out, err := io.ReadAll(c)
	if err != nil && isTimeout(err) {
		t.Fatalf("no end after %q", out)
	}
	return out
}

// ownDate is the Date of an answer that net/http gives by itself: that of tell is in another year.
var ownDate = regexp.MustCompile(
	`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT`)

// refusal is net/http's refusal of a head. One that is both too long and malformed is refused for
// the one or the other, as its bytes come.
var refusal = regexp.MustCompile(
	`(?s)HTTP/1\.1 (400 Bad Request|431 Request Header Fields Too Large)\r\n.*`)

// comparable are the bytes that came back, without those that differ from time to time.
func comparable(came []byte, input int) []byte {
	came = ownDate.ReplaceAll(came, nil)
	if input > 16<<10 {
		came = refusal.ReplaceAll(came, []byte("refused"))
	}
	return came
}

// FuzzQuick sends the same bytes, twice, to a server with a Quick and to one without, behind a
// first request and cut into pieces: all answers have to be the same, byte by byte, but for the
// time of net/http's own answers.
func FuzzQuick(f *testing.F) {
	for i, one := range slices.Concat(plainRequests, lastRequests, otherRequests) {
		f.Add([]byte(one), uint64(0))
		f.Add([]byte(plainRequests[0]+one+plainRequests[1]+plainRequests[2]), uint64(i))
		f.Add([]byte(one+one+one), uint64(2*i+1))
	}
	f.Add([]byte(strings.Repeat(plainRequests[0], 200)), uint64(4))
	f.Add([]byte(strings.Repeat(plainRequests[0]+inVain+plainRequests[3], 60)), uint64(5))
	dir := f.TempDir()
	plain := serveQuick(f, listen(f, "unix", filepath.Join(dir, "plain")), nil, tell)
	own := serveQuick(f, listen(f, "unix", filepath.Join(dir, "quick")), quick(tell), tell)
	f.Fuzz(func(t *testing.T, input []byte, pieces uint64) {
		input = slices.Concat(input, input) // heads that come again
		want := comparable(converse(t, plain.own, input, pieces), len(input))
		got := comparable(converse(t, own.own, input, pieces), len(input))
		if !bytes.Equal(got, want) {
			t.Errorf("of %q\nnet/http says %q\nbelow it  %q", input, want, got)
		}
	})
}
