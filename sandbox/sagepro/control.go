package sagepro

import (
	"context"
	"net/http"

	"github.com/tenderline/tenderline/sandbox/control"
)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.mountFaults(mux)
	mux.HandleFunc("POST "+control.Prefix+"reset", func(w http.ResponseWriter, r *http.Request) {
		if err := s.reset(context.WithoutCancel(r.Context())); err != nil {
			s.logger.Error("sandbox reset", "error", err)
			control.Refuse(w, http.StatusInternalServerError, err)
			return
		}
		s.faults.clear()
		s.record.clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET "+control.Prefix+"requests", func(w http.ResponseWriter, _ *http.Request) {
		control.WriteJSON(w, http.StatusOK, map[string]any{"requests": s.record.list()})
	})
	return mux
}
