package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/notify"
)

func (p *Program) alertsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "alerts",
		Short: "Try the ways by which people are told what needs them",
	}, p.alertsTest())
}

// delivered is a route with what became of the test message.
type delivered struct {
	Audience string `json:"audience"`
	Route    string `json:"route"`
	Result   string `json:"result"`
	Detail   string `json:"detail,omitempty"`
}

func (p *Program) alertsTest() *cobra.Command {
	var out output
	var audience string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test message to an audience, by every route that is configured for it",
		Long: `Sends a message that says it is a test, by every route of TENDERLINE_ALERTS_<AUDIENCE>. All routes are tried, also when one fails.
It needs the settings of the host that sends alerts: run it where the worker of role workflows runs. Customers get no test message.`,
		Example: `  tenderline alerts test --audience operator
  tenderline alerts test --audience analyst -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if !slices.Contains(notify.Staff(), audience) {
				return usage("--audience must be %s", strings.Join(notify.Staff(), ", "))
			}
			list, err := p.tryRoutes(cmd.Context(), audience)
			if err != nil {
				return err
			}
			err = out.write(cmd.OutOrStdout(), list, func(t *table) {
				t.row("AUDIENCE", "ROUTE", "RESULT", "DETAIL")
				for _, d := range list {
					t.row(d.Audience, d.Route, d.Result, d.Detail)
				}
			})
			if err != nil {
				return err
			}
			return undelivered(list)
		},
	}
	out.flag(cmd)
	cmd.Flags().StringVar(&audience, "audience", "", strings.Join(notify.Staff(), ", "))
	return cmd
}

// tryRoutes sends the test message.
func (p *Program) tryRoutes(ctx context.Context, audience string) ([]delivered, error) {
	settings, err := p.settings()
	if err != nil {
		return nil, err
	}
	app, err := p.app(settings)
	if err != nil {
		return nil, err
	}
	routes, err := app.AlertRoutes()
	if err != nil {
		return nil, err
	}
	message := notify.Message{
		Audience: audience, Kind: "test", Key: "test-" + rand.Text(), Subject: "Test message of Tenderline for " + audience,
		Text: fmt.Sprintf("Alerts of deployment %s for %s arrive here. There is nothing to do.", settings.Deployment, audience),
	}
	if settings.Alerts.BaseURL != "" {
		message.Link = notify.Link{Text: "Open Tenderline", URL: settings.Alerts.BaseURL}
	}
	var list []delivered
	for _, route := range routes[audience] {
		list = append(list, tryRoute(ctx, route, message, settings))
	}
	return list, nil
}

func tryRoute(ctx context.Context, route notify.Route, message notify.Message, settings config.Config) delivered {
	ctx, cancel := context.WithTimeout(ctx, max(settings.Alerts.Timeout, 2*settings.Mail.Timeout))
	defer cancel()
	d := delivered{Audience: message.Audience, Route: route.Name, Result: resultOK}
	if err := route.Notifier.Send(ctx, message); err != nil {
		d.Result, d.Detail = resultFailed, err.Error()
	}
	if route.Name == "log" {
		d.Detail = "written to the process's log"
	}
	return d
}

func undelivered(list []delivered) error {
	failed := 0
	for _, d := range list {
		if d.Result == resultFailed {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d routes failed", failed, len(list))
}

// alertsConfigured tells whether somebody is to be told by more than the log.
func alertsConfigured(settings config.Config) bool {
	routed := slices.ContainsFunc(settings.Alerts.Audiences(), func(to config.AudienceRoutes) bool { return len(to.Routes) > 0 })
	return routed || settings.Mail.Host != "" || settings.Mail.TemplatesDir != ""
}

// alerts checks what can be checked without telling anybody.
func (c *checker) alerts(ctx context.Context) {
	c.try(ctx, "mail templates", "correct the file at the line that is named; docs/alerts.md says what it may use", func(context.Context) error {
		_, err := c.app.MailTemplates()
		return err
	})
	routes, err := c.app.AlertRoutes()
	for _, audience := range notify.Staff() {
		var names []string
		for _, route := range routes[audience] {
			names = append(names, route.Name)
		}
		c.try(ctx, "routes to "+audience, "correct TENDERLINE_ALERTS_"+strings.ToUpper(audience), func(context.Context) error { return err })
		if err == nil {
			c.found[len(c.found)-1].Detail = strings.Join(names, ", ")
		}
	}
	if c.app.Config.Mail.Host != "" {
		c.try(ctx, "mail server: connect, sign in", "correct TENDERLINE_MAIL_HOST, _PORT, _TLS, _USERNAME and _PASSWORD", func(ctx context.Context) error {
			mailer, err := c.app.Mailer()
			if err != nil {
				return err
			}
			return mailer.Check(ctx)
		})
	}
}
