// Package config reads every setting of every process from environment variables. One struct holds them all; each process checks
// the parts that it uses. Errors name the variable and the rule that it breaks, never a secret's value.
package config

import (
	"time"

	"github.com/tenderline/tenderline/internal/canonical"
)

// Prefix starts the name of every variable.
const Prefix = "TENDERLINE"

// Config is everything that can be set. Variables are named by the `envconfig` tags: TENDERLINE_DATABASE_DSN and so on.
type Config struct {
	Deployment  string      `envconfig:"DEPLOYMENT" default:"tenderline" desc:"name of this installation; part of gateway transaction ids, so never change it while payments are open"`
	Database    Database    `envconfig:"DATABASE"`
	Encryption  Encryption  `envconfig:"ENCRYPTION"`
	Cybersource Cybersource `envconfig:"CYBERSOURCE"`
	Syspro      Syspro      `envconfig:"SYSPRO"`
	Sagepro     Sagepro     `envconfig:"SAGEPRO"`
	ERP         string      `envconfig:"ERP" default:"syspro" desc:"ERP of channels that name none: syspro or sagepro"`
	Policy      Policy      `envconfig:"POLICY"`
	Settlement  Settlement  `envconfig:"SETTLEMENT"`
	Chargeback  Chargeback  `envconfig:"CHARGEBACK"`
	Callback    Callback    `envconfig:"CALLBACK"`
	Alerts      Alerts      `envconfig:"ALERTS"`
	Mail        Mail        `envconfig:"MAIL"`
	API         API         `envconfig:"API"`
	HTTP        HTTP        `envconfig:"HTTP"`
	Metrics     Metrics     `envconfig:"METRICS"`
	Codec       Codec       `envconfig:"CODEC"`
	Worker      Worker      `envconfig:"WORKER"`
	Sweep       Sweep       `envconfig:"SWEEP"`
	Mappings    Mappings    `envconfig:"MAPPINGS"`
	Log         Log         `envconfig:"LOG"`
	Trace       Trace       `envconfig:"TRACE"`

	ChannelsFile string `envconfig:"CHANNELS_FILE" desc:"YAML file with the channels' own settings (docs/configuration.md)"`
	ChannelsText string `envconfig:"CHANNELS" desc:"the same as JSON, instead of a file"`

	channels map[string]Channel // by name; "*" stands for every other one
}

// Database says where the journals are.
type Database struct {
	DSN            Secret `envconfig:"DSN" default:"sqlite:.tenderline/journal.db" desc:"central journal: sqlite:/path/file.db or postgres://user:password@host/name"`
	ErpDSN         Secret `envconfig:"ERP_DSN" desc:"journal of ERP operations, beside the ERP worker; default: the central journal"`
	MaxConnections int    `envconfig:"MAX_CONNECTIONS" default:"20" desc:"connections of one process to PostgreSQL"`
}

// Erp is the DSN of the ERP operations' journal.
func (d Database) Erp() Secret {
	if d.ErpDSN != "" {
		return d.ErpDSN
	}
	return d.DSN
}

// Encryption holds the keys that seal personal data at rest and in Temporal payloads.
type Encryption struct {
	Keys Secret `envconfig:"KEYS" desc:"id:base64,... of 32-byte keys; the first seals, all open (make one: openssl rand -base64 32)"`
}

// Guard says what is known of the gateway's transactionId guard for this merchant.
type Guard string

// The guards.
const (
	GuardUnverified Guard = "unverified" // lost authorizations are taken back by their time-out forms
	GuardVerified   Guard = "verified"   // lost authorizations may be sent again under the same transactionId
)

// Cybersource is the gateway account. Times are durations such as "25s" or "15m".
type Cybersource struct {
	BaseURL           string        `envconfig:"BASE_URL" default:"https://apitest.cybersource.com" desc:"gateway address; the host is part of every signature"`
	MerchantID        string        `envconfig:"MERCHANT_ID" desc:"transacting merchant"`
	PortfolioID       string        `envconfig:"PORTFOLIO_ID" desc:"owner of a meta key; empty: the key is the merchant's own"`
	Auth              string        `envconfig:"AUTH" default:"jwt" desc:"jwt (shared secret), jwt_p12 or http_signature"`
	KeyID             string        `envconfig:"KEY_ID" desc:"id of the shared secret"`
	SharedSecret      Secret        `envconfig:"SHARED_SECRET" desc:"shared secret, base64 as the gateway shows it"`
	P12File           string        `envconfig:"P12_FILE" desc:"P12 key file, for auth jwt_p12"`
	P12Password       Secret        `envconfig:"P12_PASSWORD" desc:"password of the P12 file"`
	Guard             Guard         `envconfig:"TRANSACTION_ID_GUARD" default:"unverified" desc:"verified where the gateway is known to refuse a repeated transactionId for this merchant, else unverified"`
	Timeout           time.Duration `envconfig:"TIMEOUT" default:"25s" desc:"one HTTP call; must stay below TENDERLINE_POLICY_STEP_TIMEOUT"`
	SettleWait        time.Duration `envconfig:"SETTLE_WAIT" default:"60s" desc:"after a send whose answer was lost, before anything is sent again or reversed"`
	ResolveBudget     time.Duration `envconfig:"RESOLVE_BUDGET" default:"15m" desc:"how long a lost answer is looked for before a person is asked"`
	IndexLag          time.Duration `envconfig:"INDEX_LAG" default:"60s" desc:"how late the gateway's search may show a transaction"`
	WebhookKeys       Secret        `envconfig:"WEBHOOK_KEYS" desc:"keyId:base64,... of the webhook signature keys; several during roll-over"`
	WebhookMaxAge     time.Duration `envconfig:"WEBHOOK_MAX_AGE" default:"60m" desc:"oldest signature time that is accepted"`
	MLEPrivateKeyFile string        `envconfig:"MLE_PRIVATE_KEY_FILE" desc:"PEM private key that opens encrypted webhooks"`
	Outbound          Outbound      `envconfig:""`
}

// Outbound bounds what is sent to a system outside.
type Outbound struct {
	Rate                float64       `envconfig:"RATE" default:"20" desc:"calls per second of one process; 0: no limit"`
	Burst               int           `envconfig:"BURST" default:"20" desc:"calls at once under the limit"`
	BreakerRatio        float64       `envconfig:"BREAKER_RATIO" default:"0.6" desc:"share of failed calls that opens the circuit breaker"`
	BreakerMinRequests  uint32        `envconfig:"BREAKER_MIN_REQUESTS" default:"10" desc:"calls in the window before the share counts"`
	BreakerWindow       time.Duration `envconfig:"BREAKER_WINDOW" default:"30s" desc:"window over which calls are counted"`
	BreakerOpenFor      time.Duration `envconfig:"BREAKER_OPEN_FOR" default:"15s" desc:"pause before an open breaker lets a probe through"`
	ActivitiesPerSecond float64       `envconfig:"ACTIVITIES_PER_SECOND" default:"0" desc:"limit of the whole task queue, over all workers; 0: none"`
}

// Policy holds the defaults of what a channel may decide for itself; the starter turns it into the workflow's policy.
type Policy struct {
	Stock           string                  `envconfig:"STOCK" yaml:"stock" default:"reject" desc:"order that stock does not cover: reject, backorder or park"`
	Credit          string                  `envconfig:"CREDIT" yaml:"credit" default:"ignore" desc:"customer without credit: ignore, reject or park"`
	Invoice         string                  `envconfig:"INVOICE" yaml:"invoice" default:"at_order" desc:"invoice at_order or on_shipment"`
	OnErpFailure    string                  `envconfig:"ON_ERP_FAILURE" yaml:"onErpFailure" default:"park" desc:"permanent ERP failure after the money moved: park or compensate"`
	SaleInOneCall   bool                    `envconfig:"SALE_IN_ONE_CALL" yaml:"saleInOneCall" default:"true" desc:"capture: immediate as one request; only where the transaction id guard is verified"`
	PaymentWait     time.Duration           `envconfig:"PAYMENT_WAIT" yaml:"paymentWait" default:"30m" desc:"for a new token after a decline; 0: none is taken"`
	PaymentTries    int                     `envconfig:"PAYMENT_TRIES" yaml:"paymentTries" default:"3" desc:"tokens that an order may use"`
	PreparationFor  time.Duration           `envconfig:"PREPARATION_FOR" yaml:"preparationFor" default:"60s" desc:"checks before a browser token is authorized without waiting longer"`
	TokenLife       time.Duration           `envconfig:"TOKEN_LIFE" yaml:"tokenLife" default:"15m" desc:"life of a browser token"`
	ParkDeadline    time.Duration           `envconfig:"PARK_DEADLINE" yaml:"parkDeadline" default:"4h" desc:"after which a parked order compensates by itself"`
	ReviewDeadline  time.Duration           `envconfig:"REVIEW_DEADLINE" yaml:"reviewDeadline" default:"48h" desc:"after which a fraud review is decided by itself"`
	ReviewDefault   canonical.FraudDecision `envconfig:"REVIEW_DEFAULT" yaml:"reviewDefault" default:"reject" desc:"what it is decided to then: reject or accept"`
	UntrustedSignal bool                    `envconfig:"UNTRUSTED_SIGNAL" yaml:"untrustedSignal" default:"false" desc:"fraud decisions by signal from the Temporal UI count; their actor is not verified"`
	ReviewRemind    time.Duration           `envconfig:"REVIEW_REMIND" yaml:"reviewRemind" default:"4h" desc:"after which analysts are reminded of a fraud review; 0: never"`
	ReviewEscalate  time.Duration           `envconfig:"REVIEW_ESCALATE" yaml:"reviewEscalate" default:"24h" desc:"after which a fraud review is escalated; 0: never"`
	ReviewPoll      time.Duration           `envconfig:"REVIEW_POLL" yaml:"reviewPoll" default:"15m" desc:"between two questions to the gateway how a case stands, and asked before the deadline decides; 0: never"`

	AuthorizationLife     time.Duration `envconfig:"AUTHORIZATION_LIFE" yaml:"authorizationLife" default:"168h" desc:"after which an authorization that waited for a review counts as run out; 0: never"`
	RenewStoredCredential bool          `envconfig:"RENEW_STORED_CREDENTIAL" yaml:"renewStoredCredential" default:"false" desc:"buyers have consented that their stored credential is charged again when an authorization ran out in review; a card saved with the order needs no more consent"`

	ErpCancelled string `envconfig:"ERP_CANCELLED" yaml:"erpCancelled" default:"propose_refund" desc:"sales order of a paid order that people cancel in the ERP: propose_refund, tell (a person decides) or ignore"`
	ErpHeld      string `envconfig:"ERP_HELD" yaml:"erpHeld" default:"tell" desc:"sales order that people put on hold in the ERP: tell (a person decides) or ignore"`

	StepTimeout     time.Duration `envconfig:"STEP_TIMEOUT" yaml:"stepTimeout" default:"40s" desc:"one try of a step around one outside call; after a worker's death the step is tried again when it is over; longer than the call's own time-out"`
	GatewayPatience time.Duration `envconfig:"GATEWAY_PATIENCE" yaml:"gatewayPatience" default:"20m" desc:"total limit of one gateway step; longer than the resolve budget"`
	ErpPatience     time.Duration `envconfig:"ERP_PATIENCE" yaml:"erpPatience" default:"12h" desc:"total limit of one ERP step"`
	CallbackFor     time.Duration `envconfig:"CALLBACK_FOR" yaml:"callbackFor" default:"72h" desc:"how long a callback to the shop is tried"`
}

// Callback is where the messages to shops go whose channel says nothing else.
type Callback struct {
	URL     string        `envconfig:"URL" desc:"address that receives callbacks; empty: none are sent"`
	Secret  Secret        `envconfig:"SECRET" desc:"signing secret of the callbacks (Standard Webhooks, whsec_...)"`
	Timeout time.Duration `envconfig:"TIMEOUT" default:"15s" desc:"one delivery"`
	Stock   bool          `envconfig:"STOCK" default:"false" desc:"shops are told when the free stock of an article changes in the ERP (stock.changed)"`
	Private bool          `envconfig:"ALLOW_PRIVATE" default:"false" desc:"callbacks may go to loopback and private addresses"`
}

// API says who may call.
type API struct {
	Keys Keys `envconfig:"KEYS" desc:"name|role+role|channel+channel or *|SHA-256 of the key in hexadecimal, ...; roles: shop, analyst, operator, finance"`
}

// HTTP is the API's server.
type HTTP struct {
	Address         string        `envconfig:"ADDRESS" default:":8080" desc:"listen address of the API"`
	BodyLimit       int64         `envconfig:"BODY_LIMIT" default:"4194304" desc:"largest request body in bytes"`
	WebhookLimit    int64         `envconfig:"WEBHOOK_BODY_LIMIT" default:"262144" desc:"largest webhook body in bytes"`
	Rate            float64       `envconfig:"RATE" default:"100" desc:"requests per second of one API key, or of one address where there is none; 0: no limit"`
	Burst           int           `envconfig:"BURST" default:"200" desc:"requests at once under the limit"`
	Timeout         time.Duration `envconfig:"TIMEOUT" default:"30s" desc:"handling of one request"`
	MaxWait         time.Duration `envconfig:"MAX_WAIT" default:"20s" desc:"longest wait that Prefer: wait=N gets; shorter than the time-out"`
	ShutdownTimeout time.Duration `envconfig:"SHUTDOWN_TIMEOUT" default:"20s" desc:"for requests under way when the process stops"`
	TrustedProxies  []string      `envconfig:"TRUSTED_PROXIES" desc:"address ranges (CIDR) whose X-Forwarded-For is believed"`
}

// Metrics is the server of metrics, health and readiness.
type Metrics struct {
	Address string `envconfig:"ADDRESS" default:":9090" desc:"listen address of /metrics"`
}

// Codec is the remote codec of the Temporal UI.
type Codec struct {
	Origins []string `envconfig:"ORIGINS" desc:"origins of the Temporal UI that may call /codec, such as https://temporal.example"`
	Open    bool     `envconfig:"OPEN" default:"false" desc:"/codec answers without an API key; only while the API listens on loopback"`
}

// The worker roles.
const (
	RoleWorkflows   = "workflows"
	RoleCybersource = "cybersource"
	RoleErp         = "erp"
)

// Worker says what a worker process does.
type Worker struct {
	Roles                   []string      `envconfig:"ROLES" default:"workflows,cybersource,erp" desc:"task queues that this worker serves"`
	ERPs                    []string      `envconfig:"ERPS" desc:"ERPs that this worker serves in role erp; empty: all that channels or settlement name"`
	MaxConcurrentActivities int           `envconfig:"MAX_CONCURRENT_ACTIVITIES" default:"100" desc:"activities at once per task queue"`
	MaxConcurrentWorkflows  int           `envconfig:"MAX_CONCURRENT_WORKFLOWS" default:"100" desc:"workflow tasks at once"`
	StopTimeout             time.Duration `envconfig:"STOP_TIMEOUT" default:"45s" desc:"for activities under way when the process stops; longer than one activity's 40s"`
}

// Sweep is the pace of the sweeper, which starts what a crash left behind and delivers webhooks.
type Sweep struct {
	Interval   time.Duration `envconfig:"INTERVAL" default:"5s" desc:"pause between two sweeps"`
	OlderThan  time.Duration `envconfig:"OLDER_THAN" default:"5s" desc:"orders taken longer ago than this and not started are started"`
	InboxTries int           `envconfig:"INBOX_TRIES" default:"20" desc:"deliveries of a webhook before it is left to a person"`
}

// Mappings says where the site's own mapping files are.
type Mappings struct {
	Dir string `envconfig:"DIR" desc:"overlay directory of mapping files; empty: the built-in ones alone"`
}

// Log says what is logged.
type Log struct {
	Level  string `envconfig:"LEVEL" default:"info" desc:"debug, info, warn or error"`
	Format string `envconfig:"FORMAT" default:"json" desc:"json or text"`
}

// Trace says where traces go.
type Trace struct {
	Endpoint string  `envconfig:"ENDPOINT" desc:"OTLP/HTTP collector, such as http://collector:4318; empty: traces are not exported"`
	Ratio    float64 `envconfig:"RATIO" default:"1" desc:"share of traces that are kept"`
}
