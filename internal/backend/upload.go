package backend

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sidecar/internal/httpfield"
)

// uploadGrace is how long the content of a request may take to end after its answer has, for the
// connection to be used again.
const uploadGrace = 50 * time.Millisecond

// errUnwanted ends an upload that the answer made needless: a final one came instead of a 100.
var errUnwanted = errors.New("the backend did not want the request's content")

// A content is the body of a request.
type content struct {
	body    io.Reader
	length  int64       // -1: unknown, and sent in chunks
	trailer http.Header // its names are announced; the values are there when body has ended
	expect  bool        // it waits for a 100
}

// contentOf returns the content of a request; nil: it has none.
func contentOf(out *Request) *content {
	if out.Body == nil || out.Body == http.NoBody {
		return nil
	}
	c := &content{body: out.Body, length: out.ContentLength, expect: expectsContinue(out.Header())}
	// only a chunked message has trailers (RFC 9112 §7.1.2)
	if c.length <= 0 || len(out.Trailer) > 0 {
		c.length = -1
		c.trailer = out.Trailer
	}
	return c
}

// ExpectsContinue reports whether the request's content is to wait for a 100 (RFC 9110 §10.1.1).
func ExpectsContinue(r *http.Request) bool { return expectsContinue(r.Header) }

func expectsContinue(h http.Header) bool {
	members, _ := httpfield.Members(h["Expect"])
	return slices.ContainsFunc(members,
		func(m string) bool { return strings.EqualFold(m, "100-continue") })
}

// An upload sends the content of a request, in a goroutine of its own, since the answer may come
// before it has ended. The goroutine ends with the content, with the connection, or with the read
// of the body that it waits in when the connection is closed.
type upload struct {
	*content
	x       *exchange
	go100   chan struct{} // closed when the content may be sent
	goOnce  sync.Once
	settled chan struct{} // closed when the answer's head has come, or none will
	settle  sync.Once

	done    chan struct{} // closed when over
	mu      sync.Mutex
	hasHead bool  // of the answer
	over    bool  // all was sent, or err says why not
	err     error // of the body if readErr, else of the connection
	readErr bool  // the body could not be read
	// runs while the connection waits for the end of the content; nil: it does not
	grace    *time.Timer
	released bool
}

func newUpload(x *exchange, c *content) *upload {
	return &upload{
		content: c, x: x, go100: make(chan struct{}), settled: make(chan struct{}),
		done: make(chan struct{}),
	}
}

// start is called when the request's head has been sent.
func (u *upload) start() {
	// the time for the answer runs from the end of the content
	_ = u.x.conn.SetReadDeadline(time.Time{})
	go func() { u.end(u.run()) }()
}

// proceed lets the content be sent.
func (u *upload) proceed() { u.goOnce.Do(func() { close(u.go100) }) }

// answered is called when the head of the answer is there.
func (u *upload) answered() {
	u.settle.Do(func() { close(u.settled) })
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hasHead = true
	if u.x.timeout > 0 {
		_ = u.x.conn.SetReadDeadline(time.Time{})
	}
}

// run sends the content. A backend that neither continues nor answers gets it after a while
// (RFC 9110 §10.1.1).
func (u *upload) run() (readErr bool, err error) {
	if err := u.await100(); err != nil {
		return false, err
	}
	buffer := uploads.Get().(*[uploadRoom]byte)
	defer uploads.Put(buffer)
	if u.length < 0 {
		return u.sendChunks(buffer)
	}
	return u.sendCounted(buffer)
}

// await100 waits until the content may be sent.
func (u *upload) await100() error {
	if !u.expect {
		return nil
	}
	wait := time.NewTimer(continueTimeout)
	defer wait.Stop()
	select {
	case <-u.go100:
	case <-wait.C:
	case <-u.settled:
		select {
		case <-u.go100: // it came before the answer
		default:
			return errUnwanted
		}
	case <-u.x.ctx.Done():
		return u.x.ctx.Err()
	}
	return nil
}

// Room of a piece: the longest size line of a chunk before it, and CRLF with the last chunk
// behind.
const (
	sizeRoom   = len("ffff\r\n")
	endRoom    = len("\r\n0\r\n")
	pieceRoom  = 32 << 10
	uploadRoom = sizeRoom + pieceRoom + endRoom
)

var uploads = sync.Pool{New: func() any { return new([uploadRoom]byte) }}

func (u *upload) sendCounted(buffer *[uploadRoom]byte) (readErr bool, err error) {
	for left := u.length; ; {
		n, err := u.body.Read(buffer[:min(left+1, int64(pieceRoom))])
		if int64(n) > left {
			return true,
				fmt.Errorf("the request's content is longer than the %d bytes that were announced",
					u.length)
		}
		if n > 0 {
			if err := u.write(buffer[:n]); err != nil {
				return false, err
			}
			if left -= int64(n); left == 0 {
				u.end(false, nil) // that nothing more comes need not be awaited
			}
		}
		switch {
		case err == io.EOF && left > 0:
			return true, io.ErrUnexpectedEOF
		case err == io.EOF:
			return false, nil
		case err != nil:
			return true, err
		}
	}
}

func (u *upload) sendChunks(buffer *[uploadRoom]byte) (readErr bool, err error) {
	for {
		n, err := u.body.Read(buffer[sizeRoom : sizeRoom+pieceRoom])
		if err != nil && err != io.EOF {
			return true, err
		}
		begin, end := sizeRoom, sizeRoom+n
		if n > 0 {
			var line [sizeRoom]byte
			size := append(strconv.AppendInt(line[:0], int64(n), 16), "\r\n"...)
			begin -= copy(buffer[sizeRoom-len(size):], size)
			end += copy(buffer[end:], "\r\n")
		}
		if err == io.EOF {
			end += copy(buffer[end:], "0\r\n")
			return false, u.write(append(appendTrailers(buffer[begin:end], u.trailer), "\r\n"...))
		}
		if n > 0 {
			if err := u.write(buffer[begin:end]); err != nil {
				return false, err
			}
		}
	}
}

// write sends a piece. A backend that takes nothing for as long as it may be silent is given up.
func (u *upload) write(b []byte) error {
	if u.x.timeout > 0 {
		_ = u.x.conn.SetWriteDeadline(time.Now().Add(u.x.timeout))
	}
	_, err := u.x.conn.Write(b)
	return err
}

// end notes how the upload came out. Where the client's content could not be read the backend must
// not take it for complete: the connection is closed. Where the backend does not take it, it may
// have answered: that is read for a moment.
func (u *upload) end(readErr bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return
	}
	u.over, u.readErr, u.err = true, readErr, err
	close(u.done)
	switch {
	case u.released:
	case u.grace != nil:
		u.grace.Stop()
		u.releaseNow(err == nil)
	case readErr:
		_ = u.x.conn.Close()
	case u.hasHead:
	case err != nil:
		_ = u.x.conn.SetReadDeadline(time.Now().Add(continueTimeout))
	case u.x.timeout > 0:
		_ = u.x.conn.SetReadDeadline(time.Now().Add(u.x.timeout))
	}
}

// release gives the connection up after the answer. Clean, it is kept if the content ends in time.
func (u *upload) release(clean bool) {
	if clean {
		u.awaitEnd()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !clean || u.over {
		u.releaseNow(clean && u.over && u.err == nil)
		return
	}
	u.grace = time.AfterFunc(uploadGrace, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.releaseNow(false)
	})
}

// awaitEnd gives the goroutine that has just sent the last piece the time to say so.
func (u *upload) awaitEnd() {
	select {
	case <-u.done:
		return
	default:
	}
	wait := time.NewTimer(time.Millisecond)
	defer wait.Stop()
	select {
	case <-u.done:
	case <-wait.C:
	}
}

// releaseNow gives the connection up, once. mu is held.
func (u *upload) releaseNow(clean bool) {
	if u.released {
		return
	}
	u.released = true
	u.settle.Do(func() { close(u.settled) })
	if clean && u.x.timeout > 0 {
		_ = u.x.conn.SetDeadline(time.Time{})
	}
	u.x.release(clean)
}

// unread is why the body could not be read to its end; nil if that is not so.
func (u *upload) unread() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over && u.readErr {
		return fmt.Errorf("%w: %w", errUnread, u.err)
	}
	return nil
}

// appendTrailers appends the trailer fields that may be sent, by name.
func appendTrailers(b []byte, trailer http.Header) []byte {
	for _, name := range trailerNames(trailer) {
		if checkField(name, trailer[name]) != nil {
			continue
		}
		for _, value := range trailer[name] {
			b = appendField(b, name, value)
		}
	}
	return b
}

// trailerNames are the names of the fields that may be trailers (RFC 9110 §6.5.1), sorted.
func trailerNames(trailer http.Header) []string {
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		if httpfield.MayBeTrailer(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
