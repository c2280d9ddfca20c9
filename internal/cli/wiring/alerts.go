package wiring

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/notify"
	"github.com/tenderline/tenderline/internal/outbound"
)

// Alerts sends what waits in the journal for people and customers. Every process that serves config.RoleWorkflows runs one beside its
// workers: Run(ctx, Config.Alerts.Interval).
func (a *App) Alerts(ctx context.Context) (*notify.Dispatcher, error) {
	store, err := a.Store(ctx)
	if err != nil {
		return nil, err
	}
	routes, err := a.AlertRoutes()
	if err != nil {
		return nil, err
	}
	customers, err := a.customers(store)
	if err != nil {
		return nil, err
	}
	settings := a.Config.Alerts
	return notify.New(notify.Options{
		Outbox: store, Routes: routes, Customers: customers, BaseURL: settings.BaseURL, Quiet: settings.Quiet, Tries: settings.Tries,
		Retry: settings.Retry, Timeout: max(settings.Timeout, 2*a.Config.Mail.Timeout), Clock: time.Now, Logger: a.Log,
		Observe: func(audience notify.Audience, route string, result notify.Result) {
			a.Metrics.Alert(audience, route, string(result))
		},
	})
}

// AlertRoutes are the ways to each audience of alerts. An audience without one is told by the log.
func (a *App) AlertRoutes() (map[notify.Audience][]notify.Route, error) {
	made := map[notify.Audience][]notify.Route{}
	for _, to := range a.Config.Alerts.Audiences() {
		mails := 0
		for _, route := range to.Routes {
			switch route.Kind {
			case config.RouteSlack:
				name := "slack:" + route.Target
				address := a.Config.Alerts.Webhooks[route.Target].Reveal()
				made[to.Audience] = append(made[to.Audience], notify.Route{Name: name, Notifier: notify.NewSlack(address, a.slackClient(name), time.Now)})
			case config.RouteMail:
				mailer, err := a.Mailer()
				if err != nil {
					return nil, err
				}
				mails++ // the address itself is in no log and no metric
				made[to.Audience] = append(made[to.Audience], notify.Route{Name: "mail-" + strconv.Itoa(mails), Notifier: mailer.To(route.Target)})
			case config.RouteLog:
				made[to.Audience] = append(made[to.Audience], a.logRoute())
			}
		}
		if len(made[to.Audience]) == 0 {
			made[to.Audience] = []notify.Route{a.logRoute()}
		}
	}
	return made, nil
}

func (a *App) logRoute() notify.Route {
	return notify.Route{Name: "log", Notifier: notify.Log{Logger: a.Log}}
}

// Mailer is the way to the mail server.
func (a *App) Mailer() (*notify.Mailer, error) {
	m := a.Config.Mail
	if m.Host == "" {
		return nil, errors.New("TENDERLINE_MAIL_HOST is required")
	}
	from, err := config.Person(m.From)
	if err != nil {
		return nil, fmt.Errorf("TENDERLINE_MAIL_FROM %w", err)
	}
	settings := notify.MailConfig{
		Host: m.Host, Port: m.Port, TLS: notify.MailTLS(m.TLS), Username: m.Username, Password: m.Password.Reveal(), From: *from, Timeout: m.Timeout,
	}
	if m.ReplyTo != "" {
		if settings.ReplyTo, err = config.Person(m.ReplyTo); err != nil {
			return nil, fmt.Errorf("TENDERLINE_MAIL_REPLY_TO %w", err)
		}
	}
	return notify.NewMailer(settings, time.Now)
}

// MailTemplates are the templates of customers' mails with the site's own over them.
func (a *App) MailTemplates() (*notify.Templates, error) {
	templates, err := notify.LoadTemplates(a.Config.Mail.TemplatesDir)
	if err != nil {
		return nil, fmt.Errorf("TENDERLINE_MAIL_TEMPLATES_DIR: %w", err)
	}
	return templates, nil
}

// customers writes to customers, where that is on. Templates are read in any case: a bad one shows before it is needed.
func (a *App) customers(orders notify.Orders) (*notify.Customers, error) {
	templates, err := a.MailTemplates()
	if err != nil || !a.Config.Mail.Customers {
		return nil, err
	}
	mailer, err := a.Mailer()
	if err != nil {
		return nil, err
	}
	return &notify.Customers{Orders: orders, Templates: templates, Route: notify.Route{Name: "mail", Notifier: mailer.Customers()}}, nil
}

// slackAnswerLimit bounds a webhook's answer, which says "ok".
const slackAnswerLimit = 64 << 10

// slackClient is the way to one webhook. The path of its address is the secret: it is in no log, metric or record.
func (a *App) slackClient(name string) *http.Client {
	return outbound.Client(outbound.Transport(outbound.Config{
		System: name, Timeout: a.Config.Alerts.Timeout, MaxBody: slackAnswerLimit, Logger: a.Log, Observe: a.Metrics.Call,
		Route: func(*http.Request) string { return "/webhook" },
	}))
}
