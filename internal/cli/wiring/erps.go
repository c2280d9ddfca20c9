package wiring

import (
	"fmt"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/erp/syspro"
)

// adapters make the port of each ERP that config knows.
func (a *App) adapters() map[string]func() (erp.Port, error) {
	return map[string]func() (erp.Port, error){
		config.ERPSyspro: a.syspro,
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
