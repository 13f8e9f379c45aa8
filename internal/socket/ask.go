package socket

import (
	"errors"
	"io"
	"syscall"
)

// ErrNotQuiet is the error of Ask on a connection on which bytes had come, or the end. Ask returns
// how many of the bytes it read. Nothing was sent.
var ErrNotQuiet = errors.New("something has come on an idle connection")

// An Asker sends requests over a connection that is idle in between. It is for one goroutine at a
// time, which may not use the connection otherwise meanwhile.
type Asker struct {
	conn    *Conn
	turn    func(fd uintptr) (end bool)
	request []byte // to be sent
	answer  []byte // to be filled
	sent    bool   // all of the request
	n       int    // bytes of the answer
	err     error
}

// NewAsker returns an Asker for c; nil if it is of another kind than New makes.
func NewAsker(c io.Writer) *Asker {
	conn, ok := c.(*Conn)
	if !ok {
		return nil
	}
	a := &Asker{conn: conn}
	a.turn = a.proceed
	return a
}

// Ask sends a request and reads the beginning of the answer. Before, it looks
// whether the connection is quiet (ErrNotQuiet): after that it need not look again before it waits.
// Otherwise it is as Write and then Read are.
func (a *Asker) Ask(request, answer []byte) (n int, err error) {
	c := a.conn
	c.in.mu.Lock()
	a.request, a.answer, a.sent, a.n, a.err = request, answer, false, 0, nil
	err = c.raw.Read(a.turn)
	c.in.mu.Unlock()
	rest := a.request
	a.request, a.answer = nil, nil
	switch {
	case err != nil:
		return 0, named("read", err)
	case a.err != nil:
		return a.n, a.err
	case a.sent:
		return a.n, nil
	}
	if _, err := c.Write(rest); err != nil { // there was no room for it
		return 0, err
	}
	return c.Read(answer)
}

// proceed is called at first, and whenever the connection can be read. It returns false to wait for
// that.
func (a *Asker) proceed(fd uintptr) (end bool) {
	n, err := read(fd, a.answer)
	for err == syscall.EINTR {
		n, err = read(fd, a.answer)
	}
	switch {
	case a.sent && err == syscall.EAGAIN:
		return false
	case a.sent:
		a.n, a.err = n, a.readError(n, err)
		return true
	case err != syscall.EAGAIN:
		a.n, a.err = n, ErrNotQuiet
		return true
	}
	return !a.write(fd)
}

func (a *Asker) readError(n int, err error) error {
	switch {
	case err != nil:
		return a.conn.failed("read", err)
	case n == 0:
		return io.EOF
	}
	return nil
}

// write sends as much as the system takes, and reports whether that is all.
func (a *Asker) write(fd uintptr) (all bool) {
	for len(a.request) > 0 {
		n, err := write(fd, a.request)
		a.request = a.request[n:]
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			a.err = a.conn.failed("write", err)
			return false
		}
	}
	a.sent = true
	return true
}
