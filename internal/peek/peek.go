// Package peek reads the beginning of a body and puts it back.
package peek

import (
	"bytes"
	"io"
)

// Body reads body up to its end or, where it is longer, one byte beyond limit. again is body as
// if nothing had been read: it gives the content, then the rest of body or the error that ended
// it, and closes body. whole is true where content is all of it.
func Body(body io.ReadCloser, limit int64) (content []byte, whole bool,
	again io.ReadCloser, err error) {
	content, err = io.ReadAll(io.LimitReader(body, limit+1))
	again = &putBack{
		Reader: io.MultiReader(bytes.NewReader(content), rest{body, err}), Closer: body,
	}
	return content, err == nil && int64(len(content)) <= limit, again, err
}

// putBack is a body whose beginning has been read already.
type putBack struct {
	io.Reader
	io.Closer
}

// rest is the body behind the beginning, or the error that ended it.
type rest struct {
	body io.Reader
	err  error
}

// Read implements io.Reader.
func (r rest) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return r.body.Read(b)
}
