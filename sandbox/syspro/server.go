// Package syspro stands in for an ERP: the JSON facade `/APIServices/...` over one SYSPRO company, with its ledgers.
// It is strict where the facade's contract is strict, so that a client which passes here has read the contract.
//
// All state lives in memory behind one lock; a change is checked whole before it touches anything, then written to the
// state file in one line together with its idempotency record. A killed sandbox therefore comes back with the change
// and its answer, or with neither.
package syspro

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tenderline/tenderline/sandbox/control"
)

const (
	base            = "/APIServices"
	defaultTokenTTL = 15 * time.Minute
	defaultHoldBack = 2 * time.Second
	erpVersion      = "8.0"
)

// Config sets up a Server. ClientID with ClientSecret, or APIKeys, or both are needed.
type Config struct {
	// Clock gives business dates, token expiry and modification times; nil is time.Now.
	Clock func() time.Time
	// StateDir keeps the state in files; "" keeps it in memory only.
	StateDir string
	// ClientID and ClientSecret are what AuthService/Token accepts.
	ClientID, ClientSecret string
	// APIKeys are accepted in X-API-Key.
	APIKeys []string
	// CompanyID is the one company that is served; "" is "A".
	CompanyID string
	Logger    *slog.Logger
	// TokenTTL is a token's life; zero is 15 minutes.
	TokenTTL time.Duration
	// HoldBack is how long a changed row stays out of the list endpoints; zero is 2 s, negative is none.
	HoldBack time.Duration
	// Resolution is how finely modification times are told; zero is a microsecond, at which no two rows share one.
	Resolution time.Duration
}

// Server is the facade with its control surface. It is safe for concurrent use.
type Server struct {
	config  Config
	logger  *slog.Logger
	control *control.Control
	handler http.Handler
	tokens  tokenMint
	claims  claims // idempotency keys whose request is running

	mu    sync.RWMutex // guards state and log order
	state *state
	log   *control.Log
}

// New returns a server with the seed data, and with what StateDir has kept.
func New(config Config) (*Server, error) {
	if (config.ClientID == "" || config.ClientSecret == "") && len(config.APIKeys) == 0 {
		return nil, errors.New("syspro sandbox needs a client ID with its secret, or an API key")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.CompanyID == "" {
		config.CompanyID = "A"
	}
	if config.TokenTTL <= 0 {
		config.TokenTTL = defaultTokenTTL
	}
	if config.HoldBack == 0 {
		config.HoldBack = defaultHoldBack
	}
	if config.Resolution < time.Microsecond {
		config.Resolution = time.Microsecond
	}
	s := &Server{config: config, logger: config.Logger, state: newState(config.Resolution)}
	if _, err := rand.Read(s.tokens.key[:]); err != nil {
		return nil, fmt.Errorf("make token key: %w", err)
	}
	log, err := control.OpenLog(config.StateDir, "syspro", s.state.replay)
	if err != nil {
		return nil, fmt.Errorf("open syspro state: %w", err)
	}
	s.log = log
	s.state.reindex()
	s.control = control.New(control.Options{Clock: config.Clock, Logger: config.Logger, FormatError: writeFault})
	s.handler = s.control.Wrap(s.routes())
	return s, nil
}

// Handler serves the facade and /_sandbox/.
func (s *Server) Handler() http.Handler { return s.handler }

// Close closes the state file.
func (s *Server) Close() error { return s.log.Close() }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+base+"/AuthService/Token", s.token)
	mux.HandleFunc("GET "+base+"/HealthService/Ping", s.ping)

	post(s, mux, "/SalesOrderService/AddSalesOrder", s.addSalesOrder)
	post(s, mux, "/SalesOrderService/UpdateSalesOrder", s.updateSalesOrder)
	get(s, mux, "/SalesOrderService/GetSalesOrder", s.getSalesOrder)
	get(s, mux, "/SalesOrderService/ListSalesOrders", s.listSalesOrders)
	post(s, mux, "/ShipmentService/AddShipment", s.addShipment)
	get(s, mux, "/ShipmentService/GetShipments", s.getShipments)
	get(s, mux, "/InventoryService/GetStockBalance", s.getStockBalance)
	post(s, mux, "/CustomerService/AddCustomer", s.addCustomer)
	get(s, mux, "/CustomerService/GetCustomer", s.getCustomer)
	post(s, mux, "/ARInvoiceService/AddARInvoice", s.addARInvoice)
	get(s, mux, "/ARInvoiceService/GetARInvoice", s.getARInvoice)
	post(s, mux, "/ARPaymentService/AddARPayment", s.addARPayment)
	get(s, mux, "/ARPaymentService/GetARPayment", s.getARPayment)
	post(s, mux, "/ARPaymentService/UpdatePaymentStatus", s.updatePaymentStatus)
	post(s, mux, "/CreditMemoService/AddCreditMemo", s.addCreditMemo)
	get(s, mux, "/CreditMemoService/ListCreditMemos", s.listCreditMemos)
	post(s, mux, "/CreditMemoService/AcknowledgeCreditMemo", s.acknowledgeCreditMemo)
	post(s, mux, "/GLJournalService/AddJournalEntry", s.addJournalEntry)
	get(s, mux, "/GLJournalService/GetJournalEntry", s.getJournalEntry)
	get(s, mux, "/GLJournalService/GetPeriodStatus", s.getPeriodStatus)
	post(s, mux, "/APInvoiceService/AddAPInvoice", s.addAPInvoice)
	get(s, mux, "/APInvoiceService/GetAPInvoice", s.getAPInvoice)

	s.mountControl(mux)
	return withRequestID(mux)
}

func (s *Server) ping(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"Status": "Success", "ErpVersion": erpVersion, "SessionsInUse": 1, "SessionsMax": 5,
	})
}
