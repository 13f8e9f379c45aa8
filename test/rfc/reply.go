package rfc

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/test/origin"
)

// An ending is how the origin breaks off.
type ending int

const (
	whole ending = iota
	silent
	inHead
	inBody
)

// A reply is an answer of the origin. Date and Content-Length are set unless the fields name them;
// its body, unless one is given, tells the case's step.
type reply struct {
	status  int
	fields  []string
	content string
	empty   bool
	chunked bool // with trailers
	close   bool // delimited by the end of the connection
	trailer []string
	before  string // sent first, as it is
	ends    ending
	// fields of the request that gets this reply: "Name: value", or "Name:" for one that must not
	// be there
	asked []string
}

func answers(status int, fields ...string) reply { return reply{status: status, fields: fields} }
func ok(fields ...string) reply                  { return answers(http.StatusOK, fields...) }
func notModified(fields ...string) reply {
	return answers(http.StatusNotModified, fields...)
}

// hangUp is an origin that closes the connection instead of answering.
func hangUp(where ending) reply {
	return reply{status: http.StatusOK, fields: []string{"Cache-Control: max-age=60"}, ends: where}
}

func (r reply) to(fields ...string) reply {
	r.asked = append(slices.Clone(r.asked), fields...)
	return r
}
func (r reply) body(content string) reply {
	r.content, r.empty = content, content == ""
	return r
}
func (r reply) inChunks(trailer ...string) reply { r.chunked, r.trailer = true, trailer; return r }
func (r reply) untilClose() reply                { r.close = true; return r }
func (r reply) hint(raw string) reply            { r.before = raw; return r }
func (r reply) ending(where ending) reply        { r.ends = where; return r }

// toPlain says that the request has no condition.
func (r reply) toPlain() reply {
	return r.to("If-None-Match:", "If-Modified-Since:", "If-Match:",
		"If-Unmodified-Since:", "If-Range:")
}

// bodyless reports whether an answer of this status ends with its head.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// serve answers one request as the script has it. A reply that breaks off stays, for a client may
// try again.
func (c *trial) serve(conn *origin.Conn, q *origin.Request) {
	c.mu.Lock()
	if !c.asksFor(q.Target) {
		c.mu.Unlock()
		noCase(conn)
		return
	}
	c.asked++
	r := answers(599, "Cache-Control: no-store", "X-Unscripted: 1")
	if len(c.script) == 0 {
		c.seen = append(c.seen,
			fmt.Sprintf("step %d: the origin was asked %s %s and should not have been, with %q",
				c.step, q.Method, q.Target, q.Fields))
	} else {
		r = c.script[0]
		if r.ends == whole {
			c.script = c.script[1:]
		}
		for _, want := range r.asked {
			if fault := c.lacks(q.Values, want); fault != "" {
				c.seen = append(c.seen,
					fmt.Sprintf("step %d: the origin's request has %s", c.step, fault))
			}
		}
	}
	n, open := c.step, c.open
	c.mu.Unlock()
	<-open
	text := c.write(r, n, q.Method)
	_, _ = conn.WriteString(text)
	if r.ends != whole || r.close {
		_ = conn.Close()
	}
	c.mu.Lock()
	c.done = time.Now()
	c.mu.Unlock()
}

// write is a reply as bytes.
func (c *trial) write(r reply, n int, method string) string {
	body := r.bytes(n)
	if r.ends == silent {
		return ""
	}
	text := r.before + fmt.Sprintf("HTTP/1.1 %d Scripted\r\n", r.status)
	dated, sized := false, bodyless(r.status)
	for _, f := range r.fields {
		name, _, _ := strings.Cut(f, ":")
		dated = dated || strings.EqualFold(name, "Date")
		sized = sized || strings.EqualFold(name, "Content-Length")
		if f != "Date:" {
			text += c.fill(f) + "\r\n"
		}
	}
	if !dated {
		text += c.fill("Date: {now}\r\n")
	}
	switch {
	case r.chunked:
		text += "Transfer-Encoding: chunked\r\n"
		if r.trailer != nil {
			text += "Trailer: X-Trailer\r\n"
		}
		body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
	case r.close:
		text += "Connection: close\r\n"
	case !sized:
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if r.ends == inHead {
		return text
	}
	text += "\r\n"
	if bodyless(r.status) || method == http.MethodHead {
		return text
	}
	if r.ends == inBody && !r.chunked {
		return text + body[:len(body)/2]
	}
	text += body
	if r.chunked && r.ends == whole {
		text += "0\r\n" + strings.Join(append(r.trailer, "", ""), "\r\n")
	}
	return text
}

// bytes is the body of a reply in step n.
func (r reply) bytes(n int) string {
	if r.empty || bodyless(r.status) || r.status == http.StatusResetContent {
		return ""
	}
	if r.content != "" {
		return r.content
	}
	return fmt.Sprintf("the answer to step %d", n)
}
