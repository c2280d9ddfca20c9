package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // small container images have no time zones of their own

	"github.com/shopspring/decimal"
)

// Off switches off what runs on a schedule.
const Off = "off"

// Whose exchange rates hold.
const (
	RatesOfSettings = "settings"
	RatesOfErp      = "erp"
)

// Settlement says when and how the merchant's days reach the general ledger.
type Settlement struct {
	At           string        `envconfig:"AT" default:"06:00" desc:"local time at which the day before is settled, HH:MM, or off; the reports must be there soon after it"`
	TimeZone     string        `envconfig:"TIME_ZONE" default:"UTC" desc:"time zone of the merchant, such as America/Los_Angeles: business dates and the two times here are its own"`
	Cutoff       string        `envconfig:"CUTOFF" default:"24:00" desc:"local time at which the gateway closes the batch of a day, HH:MM; 24:00 keeps the calendar day"`
	CatchUp      time.Duration `envconfig:"CATCH_UP" default:"168h" desc:"days whose time passed while Temporal was down are settled when it is back, if that is no longer ago; older ones: tenderline settlement backfill"`
	ERP          string        `envconfig:"ERP" desc:"ERP whose general ledger the days are posted in; default: TENDERLINE_ERP"`
	Site         Pairs         `envconfig:"SITE" desc:"name=value, ... for the mappings of journals, such as branch=10"`
	Mode         string        `envconfig:"MODE" default:"detail" desc:"detail: each capture is a receipt and the journal empties the clearing account; summary: the journal carries everything; one of them per company"`
	Mismatch     string        `envconfig:"MISMATCH" default:"park" desc:"day that does not match: park (finance decides) or suspense (the difference is posted to the suspense account)"`
	Tolerance    Amounts       `envconfig:"TOLERANCE" default:"*=0.05" desc:"currency=amount, ... that a day may differ by before that counts; * for all others; goes to the rounding account"`
	Fees         string        `envconfig:"FEES" default:"journal" desc:"fees as lines of the journal, or as an AP invoice of the processor: journal or invoice"`
	GroupBy      []string      `envconfig:"GROUP_BY" desc:"what gets journal lines of its own beside the category: cardType, merchantId, paymentType, batchId, merchantDefinedData.N"`
	Ledger       string        `envconfig:"LEDGER_CURRENCY" desc:"currency of the general ledger: days in other currencies are converted; empty: each is posted as it is"`
	Rates        Rates         `envconfig:"RATES" desc:"fixed exchange rates, EUR/USD=1.08, ...: the price of one EUR in USD"`
	RatesFile    string        `envconfig:"RATES_FILE" desc:"CSV of exchange rates with the columns date, from, to, rate; read anew for each day, in place of fixed ones"`
	RatesFrom    string        `envconfig:"RATES_FROM" default:"settings" desc:"whose exchange rates hold: settings (the two above), or erp: those that the ERP of the general ledger keeps itself (sagepro only)"`
	ClosedPeriod string        `envconfig:"CLOSED_PERIOD" default:"next_open" desc:"journal or fee invoice of a closed period: next_open (posted in the current one, with the original date noted) or park"`
	Approval     bool          `envconfig:"APPROVAL" default:"false" desc:"finance approves each day before anything of it is posted"`
	ShowPaid     bool          `envconfig:"SHOW_PAID" default:"true" desc:"the ERP shows the orders of a settled day as paid"`
	Patience     time.Duration `envconfig:"PATIENCE" default:"36h" desc:"how long a day waits for its reports before a person is asked"`
	StepTimeout  time.Duration `envconfig:"STEP_TIMEOUT" default:"2h" desc:"one try to download, parse and match a day"`
	ParkDeadline time.Duration `envconfig:"PARK_DEADLINE" default:"24h" desc:"after which a step of a day that failed is tried again by itself"`
	Reports      Reports       `envconfig:"REPORTS" default:"PaymentBatchDetailReport_Daily=payment_batch_detail:csv:needed, FeeDetailReport_Daily=fee_detail:csv, ChargebackAndRetrievalDetailReport_Daily=chargeback_detail:csv, DepositDetailReport_Daily=deposit_detail:csv, FundingDetailReport_Daily=funding_detail:csv" desc:"report subscriptions of the account: name=kind:format, ...; kinds payment_batch_detail, fee_detail, chargeback_detail, deposit_detail, funding_detail; formats csv, xml; then :needed where a day must not go on without it, :signed where its amounts have signs. Of one kind the first that is there is read; deposits and fundings tell of the same money and count as one"`
	Query        bool          `envconfig:"QUERY" default:"false" desc:"transactions are asked for as a query (purchase-refund-details) where their file failed, or is not there after half of the patience"`
	Organization string        `envconfig:"ORGANIZATION" desc:"organization whose reports are read, where the key owns several; rows of its other merchants are left out; empty: the key's own"`
	ReportPause  time.Duration `envconfig:"REPORT_PAUSE" default:"10m" desc:"pause before a report is asked for again that was not there yet"`
	Window       time.Duration `envconfig:"WINDOW" default:"2160h" desc:"operations older than this that never settled are not reported as missing any more; 0: always"`
	Suffix       string        `envconfig:"SUFFIX" desc:"end of the journals' references, where several merchants post in one ledger: a capital letter, then up to 5 of A-Z 0-9"`
	Dir          string        `envconfig:"DIR" desc:"directory in which reports are spooled while they are read; empty: the system's for temporary files"`
}

// Chargeback says how disputes are followed.
type Chargeback struct {
	Remind time.Duration `envconfig:"REMIND" default:"72h" desc:"before the evidence of a dispute is due, finance is reminded"`
}

// Changes says how an ERP is asked for what people did there.
type Changes struct {
	Interval      time.Duration `envconfig:"INTERVAL" default:"1m" desc:"pause between two questions what changed in the ERP: credit memos, shipments, sales orders, stock; 0: it is not asked"`
	Feeds         []string      `envconfig:"FEEDS" default:"credit_memo,shipment,sales_order,stock" desc:"what it is asked for"`
	Overlap       time.Duration `envconfig:"OVERLAP" default:"5m" desc:"how far behind the latest change the next question begins: rows may be committed late"`
	Lookback      time.Duration `envconfig:"LOOKBACK" default:"24h" desc:"how far back the first question reaches"`
	PageSize      int           `envconfig:"PAGE_SIZE" default:"100" desc:"changes in one answer"`
	StockCodes    []string      `envconfig:"STOCK_CODES" desc:"articles whose stock is asked for each time, beside those of sales orders that changed"`
	Warehouse     string        `envconfig:"WAREHOUSE" desc:"whose stock is asked for; empty: all of them together"`
	WebhookKeys   Secret        `envconfig:"WEBHOOK_KEYS" desc:"keyId:base64,... that changes pushed to POST /webhooks/erp/{erp} are signed with; several during roll-over; empty: none are taken"`
	WebhookMaxAge time.Duration `envconfig:"WEBHOOK_MAX_AGE" default:"5m" desc:"oldest signature time of a pushed change that is accepted"`
}

// Polls tells whether the ERP is asked.
func (c Changes) Polls() bool { return c.Interval > 0 }

// WebhookKeySet gives the keys of pushed changes by id, base64.
func (c Changes) WebhookKeySet() (map[string]string, error) { return parseKeys(c.WebhookKeys.Reveal()) }

// What becomes of a sales order that people cancel or hold in the ERP.
const (
	ErpProposeRefund = "propose_refund" // a parked item proposes to pay the order back
	ErpTell          = "tell"           // a parked item asks a person
	ErpIgnore        = "ignore"
)

// Merchant is a gateway account whose days are settled.
type Merchant struct {
	ID         string // as the gateway knows it
	Erp        string // whose general ledger its days are posted in
	Settlement Settlement
	Steps      Policy // time-outs of the ERP's steps
}

// Merchant gives the settings of a gateway account, "" stands for the only one; false where this installation has no such account.
func (c Config) Merchant(id string) (Merchant, bool) {
	own := c.Cybersource.MerchantID
	if own == "" || (id != "" && id != own) {
		return Merchant{}, false
	}
	return Merchant{ID: own, Erp: c.SettlementErp(), Settlement: c.Settlement, Steps: c.Policy}, true
}

// SettlementErp is the ERP whose general ledger the days are posted in.
func (c Config) SettlementErp() string {
	if c.Settlement.ERP != "" {
		return c.Settlement.ERP
	}
	return c.ERP
}

// CapturesOnShipment tells whether a channel's orders may be captured as their goods leave: somebody must hear of the shipments.
func (c Config) CapturesOnShipment(channel Channel) bool {
	changes, known := c.Changes(channel.Erp)
	return known && changes.Polls() && slices.Contains(changes.Feeds, "shipment")
}

// Chargebacks says how disputes are followed.
func (c Config) Chargebacks() Chargeback { return c.Chargeback }

// StockChannels names the channels that are told when the stock of an ERP changes.
func (c Config) StockChannels(erp string) []string {
	names := c.Channels()
	if len(names) == 0 {
		names = []string{AllChannels} // one address for all of them
	}
	return slices.DeleteFunc(names, func(name string) bool {
		channel, known := c.Channel(name)
		return !known || !channel.StockCallbacks || channel.CallbackURL == "" || channel.Erp != erp
	})
}

// Pairs are names with their values.
type Pairs map[string]string

// Decode reads "name=value, ...".
func (p *Pairs) Decode(text string) error {
	*p = Pairs{}
	for i, entry := range trimmed(strings.Split(text, ",")) {
		name, value, found := strings.Cut(entry, "=")
		if name = strings.TrimSpace(name); !found || name == "" {
			return fmt.Errorf("entry %d must be name=value", i+1)
		}
		if _, twice := (*p)[name]; twice {
			return fmt.Errorf("entry %d has the name of an earlier one: %s", i+1, name)
		}
		(*p)[name] = strings.TrimSpace(value)
	}
	return nil
}

// Report is a report subscription of the gateway account.
type Report struct {
	Name   string
	Kind   string // as internal/settlement/report names it
	Format string // csv or xml
	Needed bool   // a day waits for it
	Signed bool   // its amounts have signs
}

// Reports are all that are read.
type Reports []Report

var (
	reportName    = regexp.MustCompile(`^[A-Za-z0-9_ -]{1,250}$`)
	reportKinds   = []string{"payment_batch_detail", "fee_detail", "chargeback_detail", "deposit_detail", "funding_detail"}
	reportFormats = []string{"csv", "xml"}
)

// Decode reads "name=kind:format:needed:signed, ...".
func (r *Reports) Decode(text string) error {
	*r = nil
	for i, entry := range trimmed(strings.Split(text, ",")) {
		name, rest, found := strings.Cut(entry, "=")
		words := strings.Split(rest, ":")
		if !found || !reportName.MatchString(name) || len(words) < 2 || !slices.Contains(reportKinds, words[0]) || !slices.Contains(reportFormats, words[1]) {
			return fmt.Errorf("entry %d must be name=kind:format with a kind of %s and a format of %s", i+1, either(reportKinds), either(reportFormats))
		}
		report := Report{Name: name, Kind: words[0], Format: words[1]}
		for _, word := range words[2:] {
			switch word {
			case "needed":
				report.Needed = true
			case "signed":
				report.Signed = true
			default:
				return fmt.Errorf("entry %d may end in :needed and :signed only", i+1)
			}
		}
		*r = append(*r, report)
	}
	return nil
}

// Amounts are amounts by currency; "*" stands for all others.
type Amounts map[string]decimal.Decimal

var (
	currencyCode = regexp.MustCompile(`^([A-Z]{3}|\*)$`)
	plainAmount  = regexp.MustCompile(`^[0-9]{1,12}(\.[0-9]{1,4})?$`)
)

// Decode reads "USD=0.05, *=0".
func (a *Amounts) Decode(text string) error {
	pairs := Pairs{}
	if err := pairs.Decode(text); err != nil {
		return errors.New("must be currency=amount, ...; each currency once")
	}
	*a = Amounts{}
	for _, currency := range slices.Sorted(maps.Keys(pairs)) {
		amount, err := decimal.NewFromString(pairs[currency])
		if err != nil || !currencyCode.MatchString(currency) || !plainAmount.MatchString(pairs[currency]) {
			return errors.New("must be currency=amount, ... with codes such as USD, or *, and amounts such as 0.05")
		}
		(*a)[currency] = amount
	}
	return nil
}

// Rates are exchange rates by "EUR/USD": the price of one EUR in USD.
type Rates map[string]decimal.Decimal

var (
	currencyPair = regexp.MustCompile(`^[A-Z]{3}/[A-Z]{3}$`)
	plainRate    = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,12})?$`)
)

// Decode reads "EUR/USD=1.0812, JPY/USD=0.0065".
func (r *Rates) Decode(text string) error {
	pairs := Pairs{}
	err := pairs.Decode(text)
	*r = Rates{}
	for _, pair := range slices.Sorted(maps.Keys(pairs)) {
		rate, badRate := decimal.NewFromString(pairs[pair])
		if badRate != nil || !currencyPair.MatchString(pair) || !plainRate.MatchString(pairs[pair]) || !rate.IsPositive() {
			err = errors.New("not a rate")
			break
		}
		(*r)[pair] = rate
	}
	if err != nil {
		return errors.New("must be FROM/TO=rate, ... with codes such as EUR/USD, each pair once, and rates such as 1.0812")
	}
	return nil
}

// ClockTime reads a time of day, HH:MM; 24:00 is the end of the day.
func ClockTime(text string) (hour, minute int, err error) {
	if text == "24:00" {
		return 24, 0, nil
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, 0, errors.New("must be a time of day such as 06:00")
	}
	return at.Hour(), at.Minute(), nil
}

var groupField = regexp.MustCompile(`^(cardType|merchantId|paymentType|batchId|merchantDefinedData\.[0-9]{1,3})$`)

var referenceSuffix = regexp.MustCompile(`^([A-Z][A-Z0-9]{0,5})?$`)

// settlement checks how days are settled.
func (c *checks) settlement(s Settlement) {
	if s.At != Off {
		if hour, _, err := ClockTime(s.At); err != nil || hour == 24 {
			c.fail("SETTLEMENT_AT", "must be a time of day such as 06:00, or off")
		}
	}
	if _, _, err := ClockTime(s.Cutoff); err != nil {
		c.fail("SETTLEMENT_CUTOFF", err.Error())
	}
	c.zone("SETTLEMENT_TIME_ZONE", s.TimeZone)
	if s.ERP != "" {
		c.oneOf("SETTLEMENT_ERP", s.ERP, KnownERPs()...)
	}
	c.oneOf("SETTLEMENT_MODE", s.Mode, "detail", "summary")
	c.oneOf("SETTLEMENT_MISMATCH", s.Mismatch, "park", "suspense")
	c.oneOf("SETTLEMENT_FEES", s.Fees, "journal", "invoice")
	c.oneOf("SETTLEMENT_CLOSED_PERIOD", s.ClosedPeriod, "next_open", "park")
	if s.Ledger != "" && (!currencyCode.MatchString(s.Ledger) || s.Ledger == "*") {
		c.fail("SETTLEMENT_LEDGER_CURRENCY", "must be a currency code such as USD, or empty")
	}
	for i, field := range s.GroupBy {
		if !groupField.MatchString(field) || slices.Contains(s.GroupBy[:i], field) {
			c.fail("SETTLEMENT_GROUP_BY", "must hold cardType, merchantId, paymentType, batchId or merchantDefinedData.N, each once")
			break
		}
	}
	if !slices.ContainsFunc(s.Reports, func(r Report) bool { return r.Kind == "payment_batch_detail" }) {
		c.fail("SETTLEMENT_REPORTS", "must have one of kind payment_batch_detail")
	}
	if !referenceSuffix.MatchString(s.Suffix) {
		c.fail("SETTLEMENT_SUFFIX", "must be a capital letter and up to 5 of A-Z and 0-9")
	}
	if s.Window < 0 {
		c.fail("SETTLEMENT_WINDOW", "must not be negative")
	}
	c.positive("SETTLEMENT_REPORT_PAUSE", s.ReportPause)
	c.positive("SETTLEMENT_CATCH_UP", s.CatchUp)
	c.positive("SETTLEMENT_PATIENCE", s.Patience)
	c.positive("SETTLEMENT_STEP_TIMEOUT", s.StepTimeout)
	c.positive("SETTLEMENT_PARK_DEADLINE", s.ParkDeadline)
}

// rates checks whose exchange rates hold.
func (c *checks) rates(s Settlement, erp string, keeps bool) {
	c.oneOf("SETTLEMENT_RATES_FROM", s.RatesFrom, RatesOfSettings, RatesOfErp)
	if s.RatesFrom != RatesOfErp {
		return
	}
	if !keeps {
		c.fail("SETTLEMENT_RATES_FROM", "can't be erp: "+erp+" can't be asked for exchange rates")
	}
	if len(s.Rates) > 0 || s.RatesFile != "" {
		c.fail("SETTLEMENT_RATES_FROM", "is erp, so TENDERLINE_SETTLEMENT_RATES and TENDERLINE_SETTLEMENT_RATES_FILE must be empty")
	}
}

// changes checks how an ERP is asked.
func (c *checks) changes(name string, changes Changes) {
	if changes.Interval != 0 && changes.Interval < time.Second {
		c.fail(name+"_INTERVAL", "must be at least 1s, or 0")
	}
	for i, feed := range changes.Feeds {
		c.oneOf(name+"_FEEDS", feed, "credit_memo", "shipment", "sales_order", "stock")
		if slices.Contains(changes.Feeds[:i], feed) {
			c.fail(name+"_FEEDS", "names "+feed+" twice")
		}
	}
	if changes.Overlap < 0 {
		c.fail(name+"_OVERLAP", "must not be negative")
	}
	c.positive(name+"_LOOKBACK", changes.Lookback)
	c.atLeast(name+"_PAGE_SIZE", int64(changes.PageSize), 1)
	c.positive(name+"_WEBHOOK_MAX_AGE", changes.WebhookMaxAge)
}
