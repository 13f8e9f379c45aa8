package proxy

import (
	"io"
	"net/http"
	"sync"

	"sidecar/cachekeys"
	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// A chunkWriter is the rest of a body that is too long to be held in memory. Its one reader takes
// it from the backend at the client's pace, and the bytes are stored in chunks meanwhile. A failure
// of the chunks does not stop the reader.
type chunkWriter struct {
	body    io.ReadCloser // the backend's
	resp    *http.Response
	limit   int64
	capture *capture
	stored  *store.ChunkWriter

	mu   sync.Mutex // the reader may be closed while it reads
	size int64      // of the bytes so far
	over bool       // the answer is kept, or given up
}

// toChunks takes over from the buffer, with the bytes so far and the error that came with the last
// of them. why says why nothing is stored. Those who wait for the answer are let go: from now on it
// comes at the pace of one client.
func (c *capture) toChunks(
	resp *http.Response, body io.ReadCloser, content []byte, err error,
) (rest io.ReadCloser, why reason.Reason) {
	if why := c.repeatsSoFar(content); why != "" {
		return nil, why
	}
	stored := c.miss.chunks(c.entry, content)
	if stored == nil {
		return nil, reason.StoreBusy
	}
	c.miss.unshareable()
	c.chunks = &chunkWriter{
		body: body, resp: resp, limit: c.miss.x.plan.Read.Cache.MaxBody,
		capture: c, stored: stored, size: int64(len(content)),
	}
	c.chunks.passed(nil, err)
	return c.chunks, ""
}

// run writes the chunks, until the body is complete or given up. It does nothing on a nil
// chunkWriter.
func (w *chunkWriter) run() {
	if w == nil {
		return
	}
	w.stored.Run()
	if why := w.stored.Wait(); why != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.drop(why)
	}
}

// Read implements io.Reader. The answer is on its way into the store before the reader can see
// that it is complete.
func (w *chunkWriter) Read(b []byte) (int, error) {
	n, err := w.body.Read(b)
	w.passed(b[:n], err)
	return n, err
}

func (w *chunkWriter) passed(b []byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.size += int64(len(b))
	w.capture.finder.Write(b)
	switch {
	case w.size > w.limit:
		w.drop(reason.TooLarge)
	case err != nil && err != io.EOF:
		w.drop(reason.Incomplete)
	case err == nil && (w.size != w.resp.ContentLength || w.resp.ProtoMajor != 1):
		w.stored.Write(b)
	case len(w.resp.Trailer) > 0: // nobody announced them
		w.drop(reason.Trailers)
	case w.capture.length > 0 && w.size != w.capture.length:
		w.drop(reason.Incomplete)
	case w.capture.finder.Found(): // at the end, so that the body is read to there
		w.drop(reason.RepeatsCookie)
	default:
		w.stored.Write(b)
		w.over = true
		w.keep()
	}
}

// keep stores the complete answer behind its chunks.
func (w *chunkWriter) keep() {
	c := w.capture
	c.entry.Chunks = w.stored.Finish()
	c.miss.fill.Keep(c.entry, c.retain,
		func() ([]cachekeys.Tag, reason.Reason) { return c.surrogate, w.stored.Wait() },
		func(why reason.Reason) {
			if why != "" {
				w.stored.Discard(why)
			}
			c.kept(why)
		})
}

// drop gives up an answer that was to be kept. mu is held.
func (w *chunkWriter) drop(why reason.Reason) {
	if !w.over {
		w.over = true
		w.stored.Discard(why)
		w.capture.kept(why)
	}
}

// Close says that the reader is gone: a body that it has not read to its end is not stored.
func (w *chunkWriter) Close() error {
	w.mu.Lock()
	w.drop(reason.Incomplete)
	w.mu.Unlock()
	return w.body.Close()
}
