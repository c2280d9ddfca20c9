package sagepro

import (
	"context"
	"net/http"

	"github.com/tenderline/tenderline/sandbox/control"
)

// routes are the control surface: the names and bodies of the SYSPRO sandbox's, so that one client serves both.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	control.MountRecord(mux, s.faults, &s.requests)
	s.mountLocks(mux)
	mux.HandleFunc("POST "+control.Prefix+"reset", s.postReset)
	view(s, mux, "ledger", func(b *books) any { return b.ledger() })
	view(s, mux, "trial-balance", func(b *books) any { return b.trialBalance() })
	view(s, mux, "drift", func(b *books) any { return map[string]any{"differences": b.drift()} })
	mux.HandleFunc("GET "+control.Prefix+"tables", s.getTables)
	clerkCall(s, mux, "shipments", (*clerk).ship)
	clerkCall(s, mux, "credit-memos", (*clerk).credit)
	clerkCall(s, mux, "orders", (*clerk).setOrder)
	clerkCall(s, mux, "stock", (*clerk).setStock)
	clerkCall(s, mux, "customers", (*clerk).setCustomer)
	clerkCall(s, mux, "rates", (*clerk).setRate)
	clerkCall(s, mux, "periods", (*clerk).setPeriods)
	clerkCall(s, mux, "close-period", (*clerk).closePeriod)
	clerkCall(s, mux, "late", (*clerk).commitLate)
	return mux
}

func (s *Server) postReset(w http.ResponseWriter, r *http.Request) {
	s.faults.EndAll() // first: a transaction that waits in a fault keeps the reset from writing
	// A reset that is begun is finished, whoever goes.
	if err := s.reset(context.WithoutCancel(r.Context())); err != nil {
		s.writeRefusal(w, err)
		return
	}
	s.requests.Clear()
	w.WriteHeader(http.StatusNoContent)
}

// view serves something that is read from the books.
func view(s *Server, mux *http.ServeMux, name string, of func(b *books) any) {
	mux.HandleFunc("GET "+control.Prefix+name, func(w http.ResponseWriter, r *http.Request) {
		b, err := s.read(r.Context())
		if err != nil {
			s.writeRefusal(w, err)
			return
		}
		control.WriteJSON(w, http.StatusOK, of(b))
	})
}

func (s *Server) getTables(w http.ResponseWriter, r *http.Request) {
	all, err := s.readAll(r.Context())
	if err != nil {
		s.writeRefusal(w, err)
		return
	}
	control.WriteJSON(w, http.StatusOK, map[string]any{"tables": all})
}
