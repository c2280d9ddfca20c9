package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Alerts says who is told what needs people, and how. Customers are told by mail alone: see Mail.
type Alerts struct {
	BaseURL  string        `envconfig:"BASE_URL" desc:"address that the links in alerts begin with, such as https://tenderline.example; empty: alerts show the path alone"`
	Webhooks Webhooks      `envconfig:"SLACK_URLS" desc:"name=https://hooks.slack.com/services/..., ... of Slack-compatible incoming webhooks, for routes slack:name"`
	Analyst  Routes        `envconfig:"ANALYST" desc:"routes of alerts to fraud analysts: slack:name, mailto:address, log, ...; empty: the log"`
	Finance  Routes        `envconfig:"FINANCE" desc:"routes of alerts to finance"`
	Operator Routes        `envconfig:"OPERATOR" desc:"routes of alerts to operators: parked steps"`
	IT       Routes        `envconfig:"IT" desc:"routes of alerts to IT: outages, credentials, defects"`
	Interval time.Duration `envconfig:"INTERVAL" default:"5s" desc:"pause between two looks for alerts and mails that are due"`
	Quiet    time.Duration `envconfig:"QUIET" default:"5m" desc:"after an alert, further ones of the same cause are collected for so long and sent as one; 0: each at once"`
	Tries    int           `envconfig:"TRIES" default:"30" desc:"tries of an alert or mail before it is given up, which the log tells as an error"`
	Retry    time.Duration `envconfig:"RETRY" default:"30s" desc:"pause before the second try; it doubles from try to try, up to an hour"`
	Timeout  time.Duration `envconfig:"TIMEOUT" default:"10s" desc:"one delivery to a Slack-compatible webhook"`
}

// The ways to secure the connection to a mail server.
const (
	MailStartTLS    = "starttls" // STARTTLS, or nothing is sent
	MailImplicitTLS = "implicit" // TLS from the first byte
	MailPlain       = "none"     // no TLS: only to a server on this machine
)

// Mail is the way to the mail server, and what customers are written.
type Mail struct {
	Host         string        `envconfig:"HOST" desc:"SMTP server; empty: no mail is sent"`
	Port         int           `envconfig:"PORT" default:"587" desc:"its port: 587 with STARTTLS, 465 with implicit TLS"`
	TLS          string        `envconfig:"TLS" default:"starttls" desc:"starttls, implicit, or none (only to a server on this machine)"`
	Username     string        `envconfig:"USERNAME" desc:"account at the server; empty: it asks for none"`
	Password     Secret        `envconfig:"PASSWORD" desc:"password of the account"`
	From         string        `envconfig:"FROM" desc:"sender of all mails, such as Acme Shop <orders@acme.example>"`
	ReplyTo      string        `envconfig:"REPLY_TO" desc:"where answers go; empty: to the sender"`
	Timeout      time.Duration `envconfig:"TIMEOUT" default:"15s" desc:"connecting, and one delivery"`
	Customers    bool          `envconfig:"CUSTOMERS" default:"false" desc:"customers are written when their order is delayed by an outage, rejected or refunded"`
	TemplatesDir string        `envconfig:"TEMPLATES_DIR" desc:"directory with mail templates instead of the built-in ones (docs/alerts.md)"`
}

// RouteKind is a way that alerts go.
type RouteKind string

// The kinds of routes.
const (
	RouteSlack RouteKind = "slack" // incoming webhook
	RouteMail  RouteKind = "mailto"
	RouteLog   RouteKind = "log"
)

// Route is one way to an audience. No log shows a Target.
type Route struct {
	Kind   RouteKind
	Target string // name of the webhook, or mail address; "" of a log
}

// Routes are all ways to an audience.
type Routes []Route

var webhookName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// Decode reads "slack:name, mailto:somebody@example.com, log". Its errors don't repeat what was written.
func (r *Routes) Decode(text string) error {
	*r = nil
	for i, entry := range strings.Split(text, ",") {
		route, err := parseRoute(strings.TrimSpace(entry))
		if err != nil {
			return fmt.Errorf("entry %d %w", i+1, err)
		}
		if slices.Contains(*r, route) {
			return fmt.Errorf("entry %d is there twice", i+1)
		}
		*r = append(*r, route)
	}
	return nil
}

func parseRoute(entry string) (Route, error) {
	kind, target, _ := strings.Cut(entry, ":")
	route := Route{RouteKind(kind), strings.TrimSpace(target)}
	switch {
	case route.Kind == RouteSlack && strings.Contains(target, "//"):
		return Route{}, errors.New("must be slack:name; the address itself is a secret and goes to " + Prefix + "_ALERTS_SLACK_URLS")
	case route.Kind == RouteSlack && webhookName.MatchString(route.Target):
		return route, nil
	case route.Kind == RouteMail && bareAddress(route.Target):
		return route, nil
	case entry == string(RouteLog):
		return route, nil
	default:
		return Route{}, errors.New("must be slack:name, mailto:address or log")
	}
}

// Webhooks are the addresses of incoming webhooks by name. Whoever knows one can post to the channel.
type Webhooks map[string]Secret

// Decode reads "name=address, ...". Its errors don't repeat an address.
func (w *Webhooks) Decode(text string) error {
	*w = Webhooks{}
	for i, entry := range strings.Split(text, ",") {
		name, address, found := strings.Cut(strings.TrimSpace(entry), "=")
		switch {
		case !found || !webhookName.MatchString(name):
			return fmt.Errorf("entry %d must be name=address; a name has a-z 0-9 _ -", i+1)
		case (*w)[name] != "":
			return fmt.Errorf("entry %d has the name of an earlier one: %s", i+1, name)
		case !webhookAddress(address):
			return fmt.Errorf("entry %d (%s) must have an address that starts with https:// (http:// on this machine only), without a user", i+1, name)
		}
		(*w)[name] = Secret(address)
	}
	return nil
}

// String masks the addresses.
func (w Webhooks) String() string {
	if len(w) == 0 {
		return ""
	}
	return masked
}

// GoString masks the addresses for %#v.
func (w Webhooks) GoString() string { return w.String() }

// LogValue masks the addresses for log/slog.
func (w Webhooks) LogValue() slog.Value { return slog.StringValue(w.String()) }

// webhookAddress tells whether an address may carry alerts: they name orders, so nobody on the way should read them.
func webhookAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && webAddress(text) && (u.Scheme == "https" || loopbackHost(u.Hostname()))
}

// bareAddress tells whether a text is one mail address, without a name.
func bareAddress(text string) bool {
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text
}

// Person reads a mail address that may have a name. The error does not repeat it.
func Person(text string) (*mail.Address, error) {
	address, err := mail.ParseAddress(text)
	if err != nil {
		return nil, errors.New("must be a mail address such as orders@acme.example or Acme Shop <orders@acme.example>")
	}
	return address, nil
}

// AudienceRoutes are the routes to one audience.
type AudienceRoutes struct {
	Audience string // analyst, finance, operator or it
	Routes   Routes
}

// Audiences gives the routes of every audience.
func (a Alerts) Audiences() []AudienceRoutes {
	return []AudienceRoutes{{"analyst", a.Analyst}, {"finance", a.Finance}, {"operator", a.Operator}, {"it", a.IT}}
}

// alerts checks what routes need beside themselves.
func (c *checks) alerts(a Alerts, m Mail) {
	c.address("ALERTS_BASE_URL", a.BaseURL)
	c.positive("ALERTS_INTERVAL", a.Interval)
	c.positive("ALERTS_RETRY", a.Retry)
	c.positive("ALERTS_TIMEOUT", a.Timeout)
	c.atLeast("ALERTS_TRIES", int64(a.Tries), 1)
	if a.Quiet < 0 {
		c.fail("ALERTS_QUIET", "must not be negative")
	}
	for _, to := range a.Audiences() {
		name := "ALERTS_" + strings.ToUpper(to.Audience)
		for _, route := range to.Routes {
			if route.Kind == RouteSlack && a.Webhooks[route.Target] == "" {
				c.fail(name, "names slack:"+route.Target+", which "+Prefix+"_ALERTS_SLACK_URLS does not have")
			}
			if route.Kind == RouteMail && m.Host == "" {
				c.fail(name, "has a mailto: route, which needs "+Prefix+"_MAIL_HOST")
				break // one sentence for all of them
			}
		}
	}
}

// mail checks the way to the mail server.
func (c *checks) mail(m Mail) {
	c.oneOf("MAIL_TLS", m.TLS, MailStartTLS, MailImplicitTLS, MailPlain)
	c.positive("MAIL_TIMEOUT", m.Timeout)
	if m.Port < 1 || m.Port > 65535 {
		c.fail("MAIL_PORT", "must be between 1 and 65535")
	}
	if m.ReplyTo != "" {
		c.person("MAIL_REPLY_TO", m.ReplyTo)
	}
	if m.From != "" {
		c.person("MAIL_FROM", m.From)
	}
	if m.Host == "" {
		if m.Customers {
			c.fail("MAIL_CUSTOMERS", "needs "+Prefix+"_MAIL_HOST")
		}
		return
	}
	if strings.ContainsAny(m.Host, "/:@ \t\r\n") && !loopbackHost(m.Host) {
		c.fail("MAIL_HOST", "must be the name of a host, without a port")
	}
	c.required("MAIL_FROM", m.From)
	if m.TLS == MailPlain && !loopbackHost(m.Host) {
		c.fail("MAIL_TLS", "may be none only for a server on this machine ("+Prefix+"_MAIL_HOST)")
	}
	if (m.Username == "") != (m.Password == "") {
		c.fail("MAIL_PASSWORD", "and "+Prefix+"_MAIL_USERNAME go together")
	}
}

// person checks a mail address that may have a name.
func (c *checks) person(name, value string) {
	if _, err := Person(value); err != nil {
		c.fail(name, err.Error())
	}
}
