package socket_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sidecar/internal/socket"
)

// pair returns the two ends of a connection, the first as New makes it.
func pair(t testing.TB, network string) (*socket.Conn, net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); other.Close() })
	own, ok := socket.New(dialled).(*socket.Conn)
	if !ok {
		t.Fatal("New does not know the connection")
	}
	return own, other
}

// each runs f over both networks.
func each(t *testing.T, f func(t *testing.T, own *socket.Conn, other net.Conn)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			own, other := pair(t, network)
			f(t, own, other)
		})
	}
}

func TestBytesPassBothWaysAtOnce(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		// more than the kernel takes at once
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		var done sync.WaitGroup
		for _, c := range []net.Conn{own, other} {
			done.Go(func() {
				if n, err := c.Write(sent); n != len(sent) || err != nil {
					t.Errorf("Write: %d, %v", n, err)
				}
				if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			done.Go(func() {
				got := sha256.New()
				if n, err := io.Copy(got, c); n != int64(len(sent)) || err != nil {
					t.Errorf("read %d bytes, %v", n, err)
				}
				if want := sha256.Sum256(sent); !bytes.Equal(got.Sum(nil), want[:]) {
					t.Error("other bytes came than were sent")
				}
			})
		}
		done.Wait()
	})
}

func TestPiecesOfConcurrentWritesDoNotMix(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		const size, count = 1 << 20, 4
		for i := range count {
			go func() { _, _ = own.Write(bytes.Repeat([]byte{byte(i)}, size)) }()
		}
		block := make([]byte, size)
		for range count {
			if _, err := io.ReadFull(other, block); err != nil {
				t.Fatal(err)
			}
			if bytes.Count(block, block[:1]) != size {
				t.Error("two writes are mixed")
			}
		}
	})
}

func TestADeadlineEndsWhatWaits(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		_ = own.SetDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := own.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %d, %v", n, err)
		}
		written, err := own.Write(make([]byte, 32<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write: %v", err)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() ||
			!strings.HasPrefix(err.Error(), "write ") {
			t.Errorf("no timeout: %v", err)
		}
		_ = own.SetDeadline(time.Time{}) // and it goes on
		go func() { _, _ = own.Write([]byte("!")); _ = own.CloseWrite() }()
		if n, err := io.Copy(io.Discard, other); n != int64(written)+1 || err != nil {
			t.Errorf("%d bytes came, %v; Write told of %d, and one", n, err, written)
		}
	})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, _ net.Conn) {
		failed := make(chan error, 2)
		go func() { _, err := own.Read(make([]byte, 1)); failed <- err }()
		go func() { _, err := own.Write(make([]byte, 32<<20)); failed <- err }()
		time.AfterFunc(20*time.Millisecond, func() { _ = own.Close() })
		for range 2 {
			if err := <-failed; !errors.Is(err, net.ErrClosed) {
				t.Errorf("it ended with %v", err)
			}
		}
		if _, err := own.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read of a closed connection: %v", err)
		}
	})
}

func TestTryReadDoesNotWait(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		room := make([]byte, 8)
		try := func(want int, wantErr error) {
			t.Helper()
			for {
				n, err := own.TryRead(room)
				if wantErr != syscall.EAGAIN && err == syscall.EAGAIN {
					continue // it is on its way
				}
				if n != want || err != wantErr {
					t.Errorf("%d, %v; want %d, %v", n, err, want, wantErr)
				}
				return
			}
		}
		try(0, syscall.EAGAIN)
		_, _ = other.Write([]byte("ab"))
		try(2, nil)
		try(0, syscall.EAGAIN)
		_ = other.Close()
		try(0, io.EOF)
		_ = own.Close()
		if _, err := own.TryRead(room); !errors.Is(err, net.ErrClosed) {
			t.Errorf("of a closed connection: %v", err)
		}
	})
}

func TestTryWriteWritesPartsInTheirOrder(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		for _, all := range []socket.Parts{
			{[]byte("ab"), []byte("cd"), []byte("ef")},
			{nil, []byte("abcd"), []byte("ef")},
			{[]byte("abcdef")},
			{nil, nil, []byte("abcdef")},
		} {
			got := make([]byte, 6)
			if n, err := own.TryWrite(all); n != len(got) || err != nil {
				t.Errorf("%q: %d, %v", all, n, err)
			}
			if _, err := io.ReadFull(other, got); string(got) != "abcdef" {
				t.Errorf("%q: %q came, %v", all, got, err)
			}
		}
	})
}

func TestTryWriteDoesNotWait(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		first, second := bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 100_000)
		all, want := 0, []byte(nil)
		for n := -1; n != 0; all += n { // until it is full
			var err error
			if n, err = own.TryWrite(socket.Parts{first, nil, second}); err != nil {
				t.Fatal(err)
			}
			want = append(want, slices.Concat(first, second)[:n]...)
		}
		got := make([]byte, all)
		if _, err := io.ReadFull(other, got); !bytes.Equal(got, want) {
			t.Errorf("other bytes came than were written, %v", err)
		}
		_ = own.SetWriteDeadline(time.Unix(1, 0))
		if n, err := own.TryWrite(socket.Parts{first}); n != 0 ||
			!errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("behind the deadline: %d, %v", n, err)
		}
		_ = own.Close()
		if n, err := own.TryWrite(socket.Parts{first}); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("to a closed connection: %d, %v", n, err)
		}
	})
}

func TestErrorsAreThoseOfTheSystem(t *testing.T) {
	own, other := pair(t, "tcp")
	_ = other.(*net.TCPConn).SetLinger(0)
	_ = other.Close() // with a reset
	if _, err := own.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Read: %v", err)
	}
	_, err := own.Write([]byte("!"))
	var op *net.OpError
	if !errors.Is(err, syscall.EPIPE) || !errors.As(err, &op) ||
		op.Addr.String() != other.LocalAddr().String() {
		t.Errorf("Write: %v", err)
	}
	if _, err := own.TryWrite(socket.Parts{[]byte("!")}); !errors.Is(err, syscall.EPIPE) ||
		!errors.As(err, &op) {
		t.Errorf("TryWrite: %v", err)
	}
}

func TestNothingIsReadIntoNothing(t *testing.T) {
	own, _ := pair(t, "tcp")
	if n, err := own.Read(nil); n != 0 || err != nil {
		t.Errorf("Read: %d, %v", n, err)
	}
	if n, err := own.Write(nil); n != 0 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
}

func TestAnotherKindStaysAsItIs(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if socket.New(a) != a {
		t.Error("a pipe has become a socket")
	}
}
