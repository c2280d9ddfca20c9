package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tenderline/tenderline/internal/cli/wiring"
	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/workflows"
)

// The results of a check or of a part of the set-up.
const (
	resultOK      = "ok"
	resultFailed  = "failed"
	resultSkipped = "skipped" // what it stands on has failed
)

// checked is a line of what check found.
type checked struct {
	System string `json:"system"`
	Check  string `json:"check"`
	Result string `json:"result"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// The systems that can be checked.
const (
	systemSettings = "settings"
	systemJournal  = "database"
	systemTemporal = "temporal"
	systemGateway  = "gateway"
	systemErp      = "erp"
	systemMappings = "mappings"
	systemAlerts   = "alerts"
)

var allSystems = []string{systemSettings, systemMappings, systemJournal, systemTemporal, systemGateway, systemErp, systemAlerts}

func (p *Program) checkCommand() *cobra.Command {
	var out output
	var only []string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Prove every credential and right, without moving money",
		Long: `Proves that settings and mappings are valid, and that database, Temporal, gateway and ERP can be reached with rights enough.
All checks run, also when one fails; gateway and ERP are left out where TENDERLINE_WORKER_ROLES is without their role,
and alerts where none are configured. Nothing is changed anywhere and no money moves: rights to write are proven by requests about
things that do not exist, such as the void of a payment that was never made. What such a request can't prove, the ERP's rights
to create documents, shows with the first order.`,
		Example: `  tenderline check
  tenderline check --only gateway,erp
  tenderline check -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := out.check(); err != nil {
				return err
			}
			for _, name := range only {
				if !slices.Contains(allSystems, name) {
					return usage("--only knows %s", strings.Join(allSystems, ", "))
				}
			}
			c := checker{timeout: timeout}
			settings, loadErr := p.settings()
			c.app = p.quietApp(settings)
			defer func() { err = errors.Join(err, c.app.Close()) }()
			if len(only) == 0 {
				only = systemsOf(settings)
			}
			for _, system := range allSystems {
				if slices.Contains(only, system) {
					c.system = system
					c.run(cmd.Context(), loadErr)
				}
			}
			if err := out.write(cmd.OutOrStdout(), c.found, c.show); err != nil {
				return err
			}
			return c.verdict()
		},
	}
	out.flag(cmd)
	cmd.Flags().StringSliceVar(&only, "only", nil, "systems to check: "+strings.Join(allSystems, ", ")+" (default: those of this host)")
	cmd.Flags().DurationVar(&timeout, "timeout", 15*time.Second, "for each check")
	return cmd
}

// systemsOf are the systems that this host has to do with.
func systemsOf(settings config.Config) []string {
	systems := []string{systemSettings, systemMappings, systemJournal, systemTemporal}
	if slices.Contains(settings.Worker.Roles, config.RoleCybersource) {
		systems = append(systems, systemGateway)
	}
	if slices.Contains(settings.Worker.Roles, config.RoleErp) {
		systems = append(systems, systemErp)
	}
	if slices.Contains(settings.Worker.Roles, config.RoleWorkflows) && alertsConfigured(settings) {
		systems = append(systems, systemAlerts)
	}
	return systems
}

// checker runs checks one after the other and keeps what they found.
type checker struct {
	app     *wiring.App
	timeout time.Duration
	system  string
	broken  bool // the current system can't be used: its other checks are skipped
	found   []checked
}

func (c *checker) show(t *table) {
	t.row("SYSTEM", "CHECK", "RESULT", "DETAIL", "WHAT TO DO")
	for _, f := range c.found {
		t.row(f.System, f.Check, f.Result, f.Detail, f.Hint)
	}
}

func (c *checker) verdict() error {
	failed := 0
	for _, f := range c.found {
		if f.Result == resultFailed {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed", failed, len(c.found))
}

// run checks one system.
func (c *checker) run(ctx context.Context, loadErr error) {
	c.broken = false
	switch c.system {
	case systemSettings:
		c.need(ctx, "values", "correct the variables; `tenderline config` explains them", func(context.Context) error { return loadErr })
	case systemMappings:
		c.need(ctx, "files compile", "see `tenderline mappings check`", func(context.Context) error {
			_, err := c.app.Mappings()
			return err
		})
	case systemJournal:
		c.journal(ctx)
	case systemTemporal:
		c.temporal(ctx)
	case systemGateway:
		c.gateway(ctx)
	case systemErp:
		for _, name := range c.app.Config.ServedERPs() {
			c.system, c.broken = systemErp+" "+name, false
			c.erp(ctx, name)
		}
	case systemAlerts:
		c.alerts(ctx)
	}
}

// need runs a check without which the system's others make no sense.
func (c *checker) need(ctx context.Context, name, hint string, do func(context.Context) error) {
	c.try(ctx, name, hint, do)
	c.broken = c.broken || c.found[len(c.found)-1].Result == resultFailed
}

// try runs a check.
func (c *checker) try(ctx context.Context, name, hint string, do func(context.Context) error) {
	f := checked{System: c.system, Check: name, Result: resultOK}
	if c.broken {
		f.Result = resultSkipped
		c.found = append(c.found, f)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := do(ctx); err != nil {
		f.Result, f.Detail, f.Hint = resultFailed, strings.ReplaceAll(err.Error(), "\n", "; "), hintFor(err, hint)
	}
	c.found = append(c.found, f)
}

// hintFor says what to do: by the class of the failure where it has one, else what the check says.
func hintFor(err error, hint string) string {
	if unknown := (*serviceerror.NamespaceNotFound)(nil); errors.As(err, &unknown) {
		return "create the namespace (`temporal operator namespace create`), or correct TEMPORAL_NAMESPACE"
	}
	f := fault.As(err)
	if f == nil {
		return hint
	}
	switch f.Kind {
	case fault.Credentials, fault.MissingReference:
		return hint
	case fault.Connection, fault.UnknownOutcome, fault.RateLimit, fault.Busy:
		return "check address, network and firewall, then repeat; the system may be down"
	default:
		return "the system answered otherwise than its contract says: is the address the right one?"
	}
}

// settings checks that a system's variables are set.
func (c *checker) settings(ctx context.Context, check func() error) {
	c.need(ctx, "settings", "set the variables; `tenderline config` explains them", func(context.Context) error { return check() })
}

// uses checks the variables of a part that every process knows by one name.
func (c *checker) uses(use config.Use) func() error {
	return func() error { return c.app.Config.Check(use) }
}

// absent is the id of things that are nowhere. Requests about them prove a right and change nothing.
const absent = "tenderline-check"

func (c *checker) journal(ctx context.Context) {
	c.settings(ctx, c.uses(config.UseJournal))
	if servesCentral(c.app.Config) {
		c.need(ctx, "connect, tables", "start the database, correct TENDERLINE_DATABASE_DSN, or run `tenderline setup`", func(ctx context.Context) error {
			_, err := c.app.Store(ctx)
			return err
		})
		c.try(ctx, "right to write", "grant the database user UPDATE and INSERT on all tables", func(ctx context.Context) error {
			store, err := c.app.Store(ctx)
			if err != nil {
				return err
			}
			return unless(store.MarkStarted(ctx, absent), journal.ErrNotFound)
		})
		c.try(ctx, "keys open what is stored", "add the key that is missing to TENDERLINE_ENCRYPTION_KEYS", c.openNewest)
	}
	if c.app.Config.Database.Erp() != c.app.Config.Database.DSN {
		c.need(ctx, "erp journal: connect, tables", "correct TENDERLINE_DATABASE_ERP_DSN, or run `tenderline setup`", func(ctx context.Context) error {
			_, err := c.app.ErpOperations(ctx)
			return err
		})
		c.try(ctx, "erp journal: right to write", "grant the database user UPDATE and INSERT on all tables", func(ctx context.Context) error {
			operations, err := c.app.ErpOperations(ctx)
			if err != nil {
				return err
			}
			return unless(operations.Resend(ctx, absent), journal.ErrNotFound)
		})
	}
}

// openNewest reads the newest order with what is sealed of it; an empty journal has nothing to open.
func (c *checker) openNewest(ctx context.Context) error {
	store, err := c.app.Store(ctx)
	if err != nil {
		return err
	}
	page, _, err := store.Orders(ctx, journal.OrderFilter{Limit: 1})
	if err != nil || len(page) == 0 {
		return err
	}
	_, err = store.Order(ctx, page[0].OrderID)
	return err
}

// unless takes one error for an answer.
func unless(err, answer error) error {
	if errors.Is(err, answer) {
		return nil
	}
	return err
}

func (c *checker) temporal(ctx context.Context) {
	c.settings(ctx, c.uses(config.UseJournal)) // the keys seal payloads
	c.need(ctx, "connect", "start Temporal, or correct TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and credentials", func(ctx context.Context) error {
		_, err := c.app.Temporal(ctx)
		return err
	})
	c.try(ctx, "search attributes", "run `tenderline setup`", c.app.Ready)
	c.try(ctx, "right to read", "give the API key or certificate the right to read in the namespace", func(ctx context.Context) error {
		connection, err := c.app.Temporal(ctx)
		if err != nil {
			return err
		}
		_, err = connection.WorkflowService().CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: connection.Namespace})
		return err
	})
	c.try(ctx, "right to write", "give the API key or certificate the right to write in the namespace", func(ctx context.Context) error {
		connection, err := c.app.Temporal(ctx)
		if err != nil {
			return err
		}
		err = connection.SignalWorkflow(ctx, absent, "", workflows.SignalFraudDecision, nil)
		if unknown := (*serviceerror.NotFound)(nil); errors.As(err, &unknown) {
			return nil
		}
		return err
	})
}

func (c *checker) gateway(ctx context.Context) {
	const right = "give the key this right in the Business Center, or ask the gateway to enable the service"
	c.settings(ctx, c.uses(config.UseGateway))
	c.need(ctx, "configure", "correct the key in TENDERLINE_CYBERSOURCE_...", func(context.Context) error {
		_, err := c.app.Gateway()
		return err
	})
	c.need(ctx, "credential, transaction search", "correct merchant id and key: is the key active, and of this environment?", func(ctx context.Context) error {
		gateway, err := c.app.Gateway()
		if err != nil {
			return err
		}
		return gateway.Check(ctx)
	})
	c.try(ctx, "transaction details", right, func(ctx context.Context) error {
		gateway, err := c.app.Gateway()
		if err != nil {
			return err
		}
		_, err = gateway.Transaction(ctx, absentPayment)
		return answered(err)
	})
	c.try(ctx, "payments", right, func(ctx context.Context) error {
		request, err := cybersource.TimeoutVoidRequest(absent, rand.Text()) // an id that no transaction ever had: there is nothing to void
		return errors.Join(err, c.send(ctx, request))
	})
	c.try(ctx, "decision manager", right, func(ctx context.Context) error {
		request, err := cybersource.CommentRequest(absentPayment, "Tenderline checks its rights")
		return errors.Join(err, c.send(ctx, request))
	})
}

// absentPayment has the shape of a payment id; real ones begin with the time of the payment, never with zeros.
const absentPayment = "0000000000000000000000"

func (c *checker) send(ctx context.Context, request cybersource.Request) error {
	gateway, err := c.app.Gateway()
	if err != nil {
		return err
	}
	_, err = gateway.Send(ctx, request)
	return answered(err)
}

// answered takes any refusal for what it is about: the thing that does not exist. Only a missing right, or no answer, is a failure.
func answered(err error) error {
	f := fault.As(err)
	if f == nil {
		return err
	}
	switch f.Kind {
	case fault.NotFound, fault.Conflict, fault.Value, fault.MissingReference:
		return nil
	default:
		return err
	}
}

func (c *checker) erp(ctx context.Context, name string) {
	const right = "give the ERP's operator or API client the right to this service"
	c.settings(ctx, func() error { return c.app.Config.CheckERPs(name) })
	c.need(ctx, "reach, credential, company", c.reachHint(name), func(ctx context.Context) error {
		port, err := c.app.Erp(name)
		if err != nil {
			return err
		}
		return port.Check(ctx)
	})
	c.columns(ctx, name)
	for _, lookup := range lookups {
		c.try(ctx, lookup.name, right, func(ctx context.Context) error {
			port, err := c.app.Erp(name)
			if err != nil {
				return err
			}
			return answered(lookup.do(ctx, port))
		})
	}
}

// reachHint says what to do where an ERP is not as its settings say.
func (c *checker) reachHint(name string) string {
	hint := "correct address, credential and company in TENDERLINE_" + strings.ToUpper(name) + "_..."
	if site, err := c.app.IsSite(name); err == nil && site {
		hint += ", or the names of tables and columns; `tenderline setup` makes Tenderline's own tables there"
	}
	return hint
}

// columns holds mappings to an ERP that is a database, where it is one.
func (c *checker) columns(ctx context.Context, name string) {
	if site, err := c.app.IsSite(name); err == nil && site {
		c.try(ctx, "columns of the mappings", "correct the mappings, or name the site's columns: docs/"+name+".md", func(ctx context.Context) error {
			return c.app.CheckTargets(ctx, name)
		})
	}
}

// lookups ask each service of an ERP for something that is not there.
var lookups = []struct {
	name string
	do   func(context.Context, erp.Port) error
}{
	{"customers", func(ctx context.Context, port erp.Port) error {
		_, err := port.FindCustomer(ctx, erp.CustomerRef{ExternalID: absent})
		return err
	}},
	{"stock", func(ctx context.Context, port erp.Port) error {
		_, err := port.Stock(ctx, erp.StockQuery{StockCodes: []string{absent}})
		return err
	}},
	{"sales orders", func(ctx context.Context, port erp.Port) error {
		_, err := port.FindSalesOrder(ctx, erp.SalesOrderRef{OrderNumber: absent})
		return err
	}},
	{"invoices", func(ctx context.Context, port erp.Port) error {
		_, err := port.FindInvoice(ctx, erp.InvoiceRef{Number: absent})
		return err
	}},
	{"receipts", func(ctx context.Context, port erp.Port) error {
		_, err := port.FindReceipt(ctx, absent)
		return err
	}},
	{"credit memos", func(ctx context.Context, port erp.Port) error {
		_, err := port.FindCreditMemo(ctx, erp.CreditMemoRef{Reference: absent, Since: time.Now().Add(-time.Hour)})
		return err
	}},
}
