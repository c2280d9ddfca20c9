package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The ERPs that a channel may have.
const (
	ERPSyspro  = "syspro"
	ERPSagepro = "sagepro"
)

// erpSection is the part of the settings that one ERP has.
type erpSection interface {
	common() ERPSettings
	keepsRates() bool              // its adapter can be asked for exchange rates
	values(c *checks, name string) // what its own values must be, whether the ERP is used or not
	check(c *checks, name string)  // what must be set where work at the ERP is done
}

// erpSections is the one table of the ERPs. Another ERP is a line here, its section in Config under its name in capital letters, its adapter in
// internal/cli/wiring, and its mappings.
func (c Config) erpSections() map[string]erpSection {
	return map[string]erpSection{
		ERPSyspro:  c.Syspro,
		ERPSagepro: c.Sagepro,
	}
}

// KnownERPs names every ERP that there is an adapter for, sorted.
func KnownERPs() []string { return slices.Sorted(maps.Keys(Config{}.erpSections())) }

// ERPSettings are the settings that every ERP has, however it is reached.
type ERPSettings struct {
	Timeout  time.Duration `envconfig:"TIMEOUT" default:"25s" desc:"one call to the ERP; must stay below TENDERLINE_POLICY_STEP_TIMEOUT"`
	Changes  Changes       `envconfig:"CHANGES"`
	Outbound Outbound      `envconfig:""`
}

func (s ERPSettings) common() ERPSettings { return s }

func (s ERPSettings) keepsRates() bool { return false }

// keepsRates tells whether an ERP can be asked for exchange rates.
func (c Config) keepsRates(erp string) bool {
	section, known := c.erpSections()[erp]
	return known && section.keepsRates()
}

// ERPSettings gives what every ERP has of settings; false for an ERP that there is no adapter for.
func (c Config) ERPSettings(erp string) (ERPSettings, bool) {
	section, known := c.erpSections()[erp]
	if !known {
		return ERPSettings{}, false
	}
	return section.common(), true
}

// Syspro is the SYSPRO facade.
type Syspro struct {
	BaseURL      string `envconfig:"BASE_URL" desc:"address of the facade"`
	ClientID     string `envconfig:"CLIENT_ID" desc:"OAuth client of the facade"`
	ClientSecret Secret `envconfig:"CLIENT_SECRET" desc:"secret of the OAuth client"`
	APIKey       Secret `envconfig:"API_KEY" desc:"instead of client id and secret"`
	Company      string `envconfig:"COMPANY" desc:"company id to log in to"`
	ERPSettings  `envconfig:""`
}

func (s Syspro) values(v *checks, name string) { v.address(name+"_BASE_URL", s.BaseURL) }

func (s Syspro) check(v *checks, name string) {
	v.required(name+"_BASE_URL", s.BaseURL)
	v.required(name+"_COMPANY", s.Company)
	if s.APIKey != "" {
		return
	}
	v.required(name+"_CLIENT_ID", s.ClientID)
	v.required(name+"_CLIENT_SECRET", s.ClientSecret.Reveal())
}

// The databases that Sage Pro, or a stand-in for it, may be kept in.
const (
	DialectSQLServer = "sqlserver"
	DialectPostgres  = "postgres"
	DialectSQLite    = "sqlite"
)

// Sagepro is the database of Sage Pro.
type Sagepro struct {
	Dialect        string        `envconfig:"DIALECT" default:"sqlserver" desc:"SQL that the database speaks: sqlserver, or postgres and sqlite for tests"`
	Driver         string        `envconfig:"DRIVER" desc:"driver of the database: sqlserver, postgres, sqlite, or odbc in a binary built for it; empty: the one of the dialect"`
	DSN            Secret        `envconfig:"DSN" desc:"address of the database with user and password, such as sqlserver://user:password@host?database=PRO01&encrypt=true"`
	Company        string        `envconfig:"COMPANY" default:"01" desc:"company, two capital letters or digits; at some sites the end of the tables' names"`
	NamesFile      string        `envconfig:"NAMES_FILE" desc:"YAML file with the site's own names of tables and columns; empty: those of the product"`
	User           string        `envconfig:"USER" default:"TNDL" desc:"who the audit columns name, at most four characters"`
	FreightItem    string        `envconfig:"FREIGHT_ITEM" default:"FREIGHT" desc:"item of the order line that carries shipping costs"`
	Location       string        `envconfig:"LOCATION" default:"N" desc:"stock location of order lines that name none, at most three characters"`
	CustomerPrefix string        `envconfig:"CUSTOMER_PREFIX" default:"W" desc:"letters that numbers of new customers begin with, at most three"`
	StaleLock      time.Duration `envconfig:"STALE_LOCK" default:"0s" desc:"age after which a record lock counts as left behind and is taken over; 0: never"`
	BusyPause      time.Duration `envconfig:"BUSY_PAUSE" default:"30s" desc:"pause before a step is tried again while the ERP keeps everybody out, as in a period close"`
	TimeZone       string        `envconfig:"TIME_ZONE" default:"UTC" desc:"time zone of the ERP's dates and times, such as America/Los_Angeles"`
	ERPSettings    `envconfig:""`
}

// SQLDriver is the driver that the database is opened with.
func (s Sagepro) SQLDriver() string {
	if s.Driver != "" {
		return s.Driver
	}
	return s.Dialect
}

var (
	companySuffix  = regexp.MustCompile(`^[A-Z0-9]{2}$`)
	auditUser      = regexp.MustCompile(`^[A-Za-z0-9]{1,4}$`)
	itemCode       = regexp.MustCompile(`^[A-Z0-9._/-]{1,15}$`)
	locationCode   = regexp.MustCompile(`^[A-Za-z0-9]{1,3}$`)
	customerPrefix = regexp.MustCompile(`^[A-Z]{1,3}$`)
)

// keepsRates: a site may have a table of them.
func (s Sagepro) keepsRates() bool { return true }

func (s Sagepro) values(v *checks, name string) {
	v.oneOf(name+"_DIALECT", s.Dialect, DialectSQLServer, DialectPostgres, DialectSQLite)
	v.oneOf(name+"_DRIVER", s.SQLDriver(), s.Dialect, "odbc")
	v.shaped(name+"_COMPANY", s.Company, companySuffix, "must be two capital letters or digits")
	v.shaped(name+"_USER", s.User, auditUser, "must be 1 to 4 letters or digits")
	v.shaped(name+"_FREIGHT_ITEM", s.FreightItem, itemCode, "must be an item code: 1 to 15 of A-Z 0-9 . _ / -")
	v.shaped(name+"_LOCATION", s.Location, locationCode, "must be 1 to 3 letters or digits")
	v.shaped(name+"_CUSTOMER_PREFIX", s.CustomerPrefix, customerPrefix, "must be 1 to 3 capital letters")
	if s.StaleLock < 0 {
		v.fail(name+"_STALE_LOCK", "must not be negative")
	}
	v.positive(name+"_BUSY_PAUSE", s.BusyPause)
	v.zone(name+"_TIME_ZONE", s.TimeZone)
}

func (s Sagepro) check(v *checks, name string) {
	v.required(name+"_DSN", s.DSN.Reveal())
	v.file(name+"_NAMES_FILE", s.NamesFile)
}

// ERPs names every ERP that orders are booked in or days are posted in, sorted.
func (c Config) ERPs() []string {
	names := c.bookedIn()
	names[c.SettlementErp()] = true
	return slices.Sorted(maps.Keys(names))
}

// ServedERPs names the ERPs that this process works at where it has role erp, sorted: those of TENDERLINE_WORKER_ERPS, or else all.
func (c Config) ServedERPs() []string {
	if len(c.Worker.ERPs) == 0 {
		return c.ERPs()
	}
	return slices.Compact(slices.Sorted(slices.Values(c.Worker.ERPs)))
}

// bookedIn are the ERPs that orders are booked in.
func (c Config) bookedIn() map[string]bool {
	names := map[string]bool{}
	for _, channel := range c.channels {
		names[channel.Erp] = true
	}
	if len(names) == 0 {
		names[c.ERP] = true
	}
	return names
}

// Changes gives how an ERP is asked for changes; false for one that no channel books in.
func (c Config) Changes(erp string) (Changes, bool) {
	settings, known := c.ERPSettings(erp)
	if !known || !c.bookedIn()[erp] {
		return Changes{}, false
	}
	return settings.Changes, true
}

// erps checks every ERP's values, and of those that are worked with what they must fit to. Channels have been read.
func (c *checks) erps(settings Config) {
	used := append(settings.ERPs(), settings.ServedERPs()...)
	for _, erp := range KnownERPs() {
		section, name := settings.erpSections()[erp], erpVariable(erp)
		common := section.common()
		section.values(c, name)
		c.positive(name+"_TIMEOUT", common.Timeout)
		if slices.Contains(used, erp) {
			c.below(name+"_TIMEOUT", common.Timeout, settings.Policy.StepTimeout, Prefix+"_POLICY_STEP_TIMEOUT")
		}
		c.changes(name+"_CHANGES", common.Changes)
		c.outbound(name, common.Outbound)
	}
}

// erpVariable begins the names of an ERP's variables, without prefix.
func erpVariable(erp string) string { return strings.ToUpper(erp) }
