package wire_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"testing"
	"time"

	"sidecar/wire"
)

// Types of frames (RFC 9113 §6).
const (
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	frameWindowUpdate = 8
)

func (c *client) frame(t *testing.T, kind, flags byte, stream uint32, payload []byte) {
	t.Helper()
	head := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	c.send(t, string(binary.BigEndian.AppendUint32(head, stream))+string(payload))
}

// awaitReset reads frames until a stream is reset.
func (c *client) awaitReset(t *testing.T) {
	t.Helper()
	if _, err := c.nextReset(); err != nil {
		t.Fatal(err)
	}
}

// nextReset is awaitReset, and returns which stream is reset.
func (c *client) nextReset() (stream uint32, err error) {
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c.read, head); err != nil {
			return 0, err
		}
		if _, err := c.read.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
			return 0, err
		}
		if head[3] == frameReset {
			return binary.BigEndian.Uint32(head[5:]), nil
		}
	}
}

// ask opens a stream by GET http://a/.
func (c *client) ask(t *testing.T, stream uint32) {
	const endStream, endHeaders = 1, 4
	c.frame(t, frameHeaders, endStream|endHeaders, stream, []byte("\x82\x86\x84\x01\x01a"))
}

// windows sets the window of each stream.
func (c *client) windows(t *testing.T, size uint32) {
	c.frame(t, frameSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, 4}, size))
}

func (c *client) open(t *testing.T, stream, by uint32) {
	c.frame(t, frameWindowUpdate, 0, stream, binary.BigEndian.AppendUint32(nil, by))
}

// dial2 begins HTTP/2 with streams whose windows are closed.
func dial2(t *testing.T, address string) *client {
	t.Helper()
	c := dial(t, address)
	c.send(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	c.windows(t, 0)
	return c
}

func TestAStreamThatDoesNotMoveIsReset(t *testing.T) {
	result := make(chan error, 8)
	address := serve(t, wire.Options{Stall: 200 * time.Millisecond},
		func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(make([]byte, 1<<20))
			result <- err
		})
	c := dial2(t, address)
	for i := range 8 {
		c.ask(t, uint32(1+2*i))
	}
	for range 8 {
		if err := <-result; err == nil {
			t.Error("all was written")
		}
	}
	for range 8 {
		c.awaitReset(t)
	}
	c.windows(t, 1<<24) // the connection goes on
	c.open(t, 0, 1<<24)
	c.ask(t, 101)
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestAStreamWhoseEndDoesNotMoveIsReset(t *testing.T) {
	address := serve(t, wire.Options{Stall: 200 * time.Millisecond},
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "buffered until the handler has ended")
		})
	c := dial2(t, address)
	c.ask(t, 1)
	c.awaitReset(t)
}

// A stream that moves slowly is served for longer than one beside it is, which does not move.
func TestAStreamThatMovesSlowlyIsServed(t *testing.T) {
	t.Parallel()
	const moving, standing = 1, 3
	const streamPiece = 16 << 10
	content := make([]byte, 8<<20)
	result := make(chan error, 2)
	address := serve(t, wire.Options{Stall: 2 * time.Second},
		func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(content)
			result <- err
		})
	c := dial2(t, address)
	c.ask(t, moving)
	c.ask(t, standing)
	reset := make(chan uint32, 1)
	go func() { // ends with the connection
		stream, _ := c.nextReset()
		reset <- stream
		_, _ = io.Copy(io.Discard, c.read)
	}()
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for left := len(content); left > 0; left -= streamPiece {
		c.open(t, moving, streamPiece)
		c.open(t, 0, streamPiece)
		select {
		case <-pace.C:
		case stream := <-reset:
			if stream != standing {
				t.Fatalf("stream %d is reset", stream)
			}
			if err := <-result; err == nil {
				t.Error("the one that stands is written")
			}
			c.open(t, moving, uint32(left))
			c.open(t, 0, uint32(left))
			if err := <-result; err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Error("it was not slow, or the other one is not reset")
}

func TestStreamsThatTogetherHoldTooMuchAreResetSooner(t *testing.T) {
	t.Parallel()
	if patience >= wire.Stall {
		t.Fatal("this test would be as patient as the server")
	}
	const streams, each = 40, 1 << 20 // 40 MiB, and 32 may be held
	result := make(chan error, streams)
	address := serve(t, wire.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, each))
		result <- err
	})
	c := dial2(t, address)
	for i := range streams {
		c.ask(t, uint32(1+2*i))
	}
	for range 8 {
		c.awaitReset(t) // within the patience of a test: a stream by itself has wire.Stall
	}
}
