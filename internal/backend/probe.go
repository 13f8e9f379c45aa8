package backend

import (
	"bytes"
	"io"
	"net/http"
	"time"
)

// probeTime is how long the first byte of content is awaited whose length nobody has announced.
const probeTime = 200 * time.Millisecond

// usuallyHasNoContent reports whether some servers are confused by the framing of content in a
// request of this method, so that it is sent only where there is content.
func usuallyHasNoContent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions,
		"PROPFIND", "SEARCH":
		return true
	}
	return false
}

// probe finds out whether there is any content; nil: there is none. A slow client's is taken to
// come.
func probe(c *content) *content {
	if c == nil || c.length >= 0 || c.expect || len(c.trailer) > 0 {
		return c
	}
	p := &probed{rest: c.body, first: make(chan firstRead, 1)}
	go func() { // ends with the read
		b := make([]byte, 1)
		n, err := p.rest.Read(b)
		p.first <- firstRead{b[:n], err}
	}()
	wait := time.NewTimer(probeTime)
	defer wait.Stop()
	c.body = p
	select {
	case f := <-p.first:
		if len(f.content) == 0 && f.err == io.EOF {
			return nil
		}
		p.first <- f
	case <-wait.C:
	}
	return c
}

// A probed is content whose first byte is read by another goroutine.
type probed struct {
	first chan firstRead // nil: it has been read
	begin bytes.Reader
	err   error
	rest  io.Reader
}

type firstRead struct {
	content []byte
	err     error
}

// Read implements io.Reader.
func (p *probed) Read(b []byte) (int, error) {
	if p.first != nil {
		f := <-p.first
		p.first, p.err = nil, f.err
		p.begin.Reset(f.content)
	}
	if p.begin.Len() > 0 {
		return p.begin.Read(b)
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.rest.Read(b)
}
