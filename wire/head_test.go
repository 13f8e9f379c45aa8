package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// pass gives the scanner these bytes in pieces, and returns the bytes that it lets through and
// where in them a request ends, if a piece is one byte. isRaw: the rest is not looked at.
func pass(input []byte, piece int) (out []byte, ends []int, isRaw bool) {
	s := newScanner()
	for len(input) > 0 && s.state != over {
		p, before := bytes.Clone(input[:min(piece, len(input))]), s.state
		n, insert := s.scan(p)
		out = append(append(out, p[:n]...), insert...)
		input = input[n:]
		switch {
		case s.state == raw:
			return append(out, input...), ends, true
		case before != between && (s.state == between || s.state == over && s.last && insert == ""):
			ends = append(ends, len(out)) // of use only byte by byte
		}
	}
	return out, ends, false
}

// FuzzScanner compares where the scanner and net/http see requests end: they must agree on the
// bytes that the scanner lets through, or somebody could hide a request in the content of another.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n" +
			"A: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"0\r\n\r\n",
		"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"\r\nGET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\nbytes",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(seed), 5)
	}
	f.Fuzz(func(t *testing.T, input []byte, piece int) {
		out, ends, isRaw := pass(input, 1)
		inPieces, _, _ := pass(input, 1+(piece&0xff))
		if !bytes.Equal(out, inPieces) {
			t.Fatalf("it depends on the pieces\n%q\n%q", out, inPieces)
		}
		source := bytes.NewReader(out)
		read := bufio.NewReaderSize(source, 16)
		for i := 0; ; i++ {
			r, err := http.ReadRequest(read)
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
			if err != nil || r.Method == "PRI" { // Handler refuses it, and ends the connection
				return
			}
			end := len(out) - source.Len() - read.Buffered()
			if i >= len(ends) {
				if !isRaw {
					t.Fatalf("a request ends at %d of %q, of which the scanner does not know",
						end, out)
				}
				return
			}
			if ends[i] != end {
				t.Fatalf("request %d ends at %d, the scanner says %d, of %q", i, end, ends[i], out)
			}
		}
	})
}
