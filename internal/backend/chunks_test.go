package backend

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// chunksOf reads chunks from r.
func chunksOf(r io.Reader) *chunkReader {
	return &chunkReader{conn: &conn{read: bufio.NewReaderSize(r, bufferSize)}}
}

func TestOfAChunkThePartThatHasComeIsReadAtOnce(t *testing.T) {
	for name, c := range map[string]struct{ pieces, want []string }{
		"parts of a chunk": {
			[]string{"10\r\nhello", " ", "world12345\r\n0\r\n"},
			[]string{"hello", " ", "world12345"},
		},
		"a chunk and a part": {
			[]string{"6\r\nhello \r\n1", "0\r\nwor", "ld12345678901\r\n0\r\n"},
			[]string{"hello ", "wor", "ld12345678901"},
		},
		"pieces that divide line breaks": {
			[]string{"5\r\nhello", "\r", "\n5\r\nworld\r\n0\r", "\n"},
			[]string{"hello", "world", ""},
		},
		"chunks of a byte": {
			[]string{"1\r\na\r\n1\r\nb\r\n1", "\r\nc\r\n0\r\n"},
			[]string{"ab", "c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			defer near.Close()
			go func() { // each piece is sent when the one before it has been read
				defer far.Close()
				for _, piece := range c.pieces {
					_, _ = far.Write([]byte(piece))
				}
			}()
			chunks, p, got := chunksOf(near), make([]byte, 1<<10), []string(nil)
			for {
				n, err := chunks.Read(p)
				if got = append(got, string(p[:n])); err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%q, %v", got, err)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// FuzzChunks compares with net/http's reader.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{
		"5\r\nhello\r\n0\r\n", "5;a=b\r\nhello\r\n00\r\nX: 1\r\n", "5 \t\r\nhello\r\n1\r\na\r\n0\r\n",
		"0000000000000005\r\nhello\r\n0\r\n", "00000000000000005\r\nhello\r\n0\r\n", "A\r\n0123456789",
		"5\r\nhello", "5\r\nhello0\r\n", "5\nhello\r\n0\r\n", "5;\r\r\nhello", "-1\r\n", ";\r\n", "",
		"7fffffffffffffff\r\nhello", "1;" + strings.Repeat("a", 4100) + "\r\na\r\n0\r\n",
		strings.Repeat("1;"+strings.Repeat("a", 500)+"\r\na\r\n", 40) + "0\r\n",
	} {
		f.Add([]byte(s), 100)
	}
	f.Fuzz(func(t *testing.T, content []byte, room int) {
		want, wantErr := io.ReadAll(httputil.NewChunkedReader(
			bufio.NewReaderSize(bytes.NewReader(content), bufferSize)))
		for _, from := range []io.Reader{
			bytes.NewReader(content), iotest.OneByteReader(bytes.NewReader(content)),
		} {
			got, err := readBy(chunksOf(from), 1+room&0xff)
			// sizes beyond all content are refused by either sooner or later
			failed := err != nil && wantErr != nil
			if !bytes.Equal(got, want) && !failed || (err == nil) != (wantErr == nil) {
				t.Fatalf("%q is read as %q, %v; by net/http as %q, %v", content, got, err, want, wantErr)
			}
		}
	})
}

// readBy is io.ReadAll with a room for each read.
func readBy(r io.Reader, room int) (all []byte, err error) {
	p := make([]byte, room)
	for {
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}
