package ops

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"

	"sidecar/internal/problem"
)

// An Explainer explains a request to the data plane, for JSON. ok is false for one that is refused
// before it is planned. It is called as for a trusted peer.
type Explainer func(ctx context.Context, r *http.Request, body []byte) (explanation any, ok bool)

// maxExplained bounds a request that is to be explained, in bytes.
const maxExplained = 2 << 20

// explain explains the HTTP request in the body (message/http).
func (o Options) explain(w http.ResponseWriter, r *http.Request) {
	limited := http.MaxBytesReader(w, r.Body, maxExplained)
	asked, err := http.ReadRequest(bufio.NewReader(limited))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(asked.Body)
	}
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		problem.Write(w, http.StatusRequestEntityTooLarge,
			"A request to explain has at most 2 MiB.")
		return
	}
	if err != nil {
		problem.Write(w, http.StatusBadRequest,
			"The body is to be an HTTP/1.1 request: "+err.Error()+".")
		return
	}
	asked.RemoteAddr = "127.0.0.1:1"
	explanation, ok := o.Explain(r.Context(), asked, body)
	if !ok {
		problem.Write(w, http.StatusUnprocessableEntity,
			"The sidecar refuses this request before it is planned.")
		return
	}
	writeJSON(w, http.StatusOK, explanation)
}
