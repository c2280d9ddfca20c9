package wiring

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/sagepro"
	"github.com/tenderline/tenderline/internal/erp/syspro"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/outbound"
)

// adapters are those of every ERP that config knows.
func (a *App) adapters() map[string]func() (erp.Port, error) {
	return map[string]func() (erp.Port, error){
		config.ERPSyspro:  a.syspro,
		config.ERPSagepro: a.sagepro,
	}
}

// Erp is the adapter of a named ERP. It is made once: its breaker and its rate limit count all calls of the process.
func (a *App) Erp(name string) (erp.Port, error) {
	if port, made := a.erps[name]; made {
		return port, nil
	}
	adapter, known := a.adapters()[name]
	if !known {
		return nil, fmt.Errorf("ERP %q is unknown", name)
	}
	port, err := adapter()
	if err != nil {
		return nil, fmt.Errorf("ERP %s: %w", name, err)
	}
	if a.erps == nil {
		a.erps = map[string]erp.Port{}
	}
	a.erps[name] = port
	return port, nil
}

// erpSystem names an ERP in faults, logs and records.
func erpSystem(name string) string { return "erp-" + name }

func (a *App) syspro() (erp.Port, error) {
	s, system := a.Config.Syspro, erpSystem(config.ERPSyspro)
	return syspro.New(syspro.Config{
		BaseURL: s.BaseURL, ClientID: s.ClientID, ClientSecret: s.ClientSecret.Reveal(), APIKey: s.APIKey.Reveal(), CompanyID: s.Company,
		Transport: a.transport(system, s.Outbound, s.Timeout, nil), Timeout: s.Timeout, Logger: a.Log, Name: system,
	})
}

func (a *App) sagepro() (erp.Port, error) {
	s, system := a.Config.Sagepro, erpSystem(config.ERPSagepro)
	names, err := sageproNames(s.NamesFile)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("TENDERLINE_SAGEPRO_TIME_ZONE: %w", err)
	}
	db, err := a.openSagepro(s.SQLDriver(), s.DSN.Reveal())
	if err != nil {
		return nil, err
	}
	a.closing(db.Close)
	return sagepro.New(sagepro.Config{
		DB: db, Dialect: sagepro.Dialect(s.Dialect), Company: s.Company, Names: names, Name: system, User: s.User, FreightItem: s.FreightItem,
		Location: s.Location, CustomerPrefix: s.CustomerPrefix, StaleLock: s.StaleLock, BusyPause: s.BusyPause, Timeout: s.Timeout, TimeZone: zone,
		Guard: outbound.NewGuard(a.way(system, s.Outbound)), Logger: a.Log,
	})
}

// openSagepro opens the database that the settings name, or the one that this program has.
func (a *App) openSagepro(driver, dsn string) (*sqlx.DB, error) {
	if a.OpenSagepro == nil {
		return sagepro.Open(driver, dsn)
	}
	db, err := a.OpenSagepro(driver, dsn)
	if err != nil {
		return nil, err
	}
	return sqlx.NewDb(db, driver), nil
}

func sageproNames(path string) (sagepro.Names, error) {
	if path == "" {
		return sagepro.Names{}, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return sagepro.Names{}, fmt.Errorf("TENDERLINE_SAGEPRO_NAMES_FILE: %w", err)
	}
	defer func() { _ = file.Close() }()
	names, err := sagepro.ReadNames(file)
	if err != nil {
		return sagepro.Names{}, fmt.Errorf("TENDERLINE_SAGEPRO_NAMES_FILE: %w", err)
	}
	return names, nil
}

// site is an ERP of which no two are alike: its database.
type site interface {
	// CheckTargets tells which targets of mappings the site has no columns for.
	CheckTargets(ctx context.Context, targets []string) error
}

// IsSite tells whether an ERP's columns are the site's own, so that mappings have to be held to them.
func (a *App) IsSite(name string) (bool, error) {
	port, err := a.Erp(name)
	_, is := port.(site)
	return is, err
}

// CheckTargets holds every target of an ERP's mappings, the overlay's included, to the columns that the site has.
func (a *App) CheckTargets(ctx context.Context, name string) error {
	port, err := a.Erp(name)
	if err != nil {
		return err
	}
	database, is := port.(site)
	if !is {
		return nil
	}
	set, err := a.Mappings()
	if err != nil {
		return err
	}
	var targets []string
	for _, mapping := range set.Names() {
		if !strings.HasPrefix(mapping, name+"/") {
			continue
		}
		m, err := set.Mapping(mapping)
		if err != nil {
			return err
		}
		targets = append(targets, m.Targets()...)
	}
	slices.Sort(targets)
	return database.CheckTargets(ctx, slices.Compact(targets))
}

// startupCheck is the time that an ERP has to tell what it is like when a worker starts.
const startupCheck = 20 * time.Second

// checkSite refuses to work at a site that lacks what is needed there, before the first order shows it. A site that does not answer now is no reason:
// its steps wait for it, and other ERPs have work.
func (a *App) checkSite(ctx context.Context, name string, port erp.Port) error {
	if _, is := port.(site); !is {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startupCheck)
	defer cancel()
	err := port.Check(ctx)
	if err == nil {
		err = a.CheckTargets(ctx, name)
	}
	if f := fault.As(err); f != nil && (f.Kind.Retryable() || f.Kind == fault.Credentials) {
		a.Log.WarnContext(ctx, "the ERP does not answer; its steps wait", "erp", name, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("ERP %s: %w", name, err)
	}
	return nil
}

// keeper is an adapter that keeps tables beside the ERP's own.
type keeper interface {
	SetUp(ctx context.Context) error
	SideTables() []string // the statements of SetUp
}

// MakeSideTables makes the tables that an ERP's adapter keeps, where any of them is missing; kept is false of an adapter that keeps none. Where the
// ERP refuses that, the error comes with the statements that somebody with the right to them runs instead.
func (a *App) MakeSideTables(ctx context.Context, name string) (kept bool, statements []string, err error) {
	port, err := a.Erp(name)
	if err != nil {
		return false, nil, err
	}
	tables, keeps := port.(keeper)
	if !keeps || port.Check(ctx) == nil {
		return keeps, nil, nil // to make them again may take a right that is not needed any more
	}
	err = tables.SetUp(ctx)
	if f := fault.As(err); f != nil && !f.Kind.Retryable() { // the ERP said no
		return true, tables.SideTables(), err
	}
	return true, nil, err
}
