// Package cybersource is a client of the Cybersource REST API: payments and their follow-ons, transaction search, case
// actions and webhooks. Every answer becomes a typed Outcome, or a *fault.Fault that says whether anything was processed. Requests are
// prepared first and sent later, so that their bytes can be stored before money moves.
package cybersource

import (
	"log/slog"
	"net/http"
	"time"
)

// System is the name of the gateway in faults, logs and records.
const System = "cybersource"

// Auth is the way requests are authenticated.
type Auth string

// The ways to authenticate. OAuth 2.0 is for partners who act for others and is not offered.
const (
	AuthJWT           Auth = "jwt"            // JWT with the shared secret; the default
	AuthJWTP12        Auth = "jwt_p12"        // JWT with the private key of a P12 file
	AuthHTTPSignature Auth = "http_signature" // being retired by the gateway
)

// Config names the account and how it authenticates.
type Config struct {
	BaseURL      string // https://api.cybersource.com; the host is part of every signature
	MerchantID   string // the transacting merchant
	PortfolioID  string // owner of a meta key; empty: the key is the merchant's own
	Auth         Auth   // default AuthJWT
	KeyID        string // of the shared secret
	SharedSecret string // base64, as the gateway shows it
	P12          []byte // for AuthJWTP12: the file's content
	P12Password  string
	Timeout      time.Duration     // one call; default 25 s
	Transport    http.RoundTripper // default: outbound.Transport for System
	Logger       *slog.Logger      // for the default transport
	Clock        func() time.Time  // default time.Now
}
