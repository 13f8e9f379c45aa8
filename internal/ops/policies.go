package ops

import (
	"net/http"

	"sidecar/internal/problem"
)

// policies shows the policies in force.
func (o Options) policies(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, o.Policies())
}

// reload reads the policies file again. A bad file is refused and the old policies stay.
func (o Options) reload(w http.ResponseWriter, _ *http.Request) {
	if err := o.Reload(); err != nil {
		problem.Write(w, http.StatusUnprocessableEntity,
			"The old policies stay in force. "+err.Error())
		return
	}
	writeJSON(w, http.StatusOK, o.Policies())
}
