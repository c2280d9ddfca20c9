package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
)

func TestAlertsAreOffByDefault(t *testing.T) {
	c := load(t, nil)
	for _, to := range c.Alerts.Audiences() {
		require.Empty(t, to.Routes, to.Audience)
	}
	require.Equal(t, 5*time.Minute, c.Alerts.Quiet)
	require.Equal(t, 30, c.Alerts.Tries)
	require.False(t, c.Mail.Customers)
	require.Equal(t, config.MailStartTLS, c.Mail.TLS)
}

func TestRoutesAreRead(t *testing.T) {
	c := load(t, map[string]string{
		"TENDERLINE_ALERTS_SLACK_URLS": "fraud=https://hooks.slack.com/services/T0/B0/abc=, ops=http://127.0.0.1:9103/slack",
		"TENDERLINE_ALERTS_ANALYST":    "slack:fraud, mailto:fraud@acme.example,mailto:night+fraud@acme.example",
		"TENDERLINE_ALERTS_OPERATOR":   "slack:ops,log",
		"TENDERLINE_ALERTS_BASE_URL":   "https://tenderline.example/console",
		"TENDERLINE_MAIL_HOST":         "mail.acme.example", "TENDERLINE_MAIL_FROM": "Acme <orders@acme.example>",
		"TENDERLINE_MAIL_USERNAME": "acme", "TENDERLINE_MAIL_PASSWORD": "p",
	})
	require.Equal(t, config.Routes{
		{Kind: config.RouteSlack, Target: "fraud"}, {Kind: config.RouteMail, Target: "fraud@acme.example"}, {Kind: config.RouteMail, Target: "night+fraud@acme.example"},
	}, c.Alerts.Analyst)
	require.Equal(t, config.Routes{{Kind: config.RouteSlack, Target: "ops"}, {Kind: config.RouteLog}}, c.Alerts.Operator)
	require.Equal(t, "https://hooks.slack.com/services/T0/B0/abc=", c.Alerts.Webhooks["fraud"].Reveal())
	require.Equal(t, "http://127.0.0.1:9103/slack", c.Alerts.Webhooks["ops"].Reveal())
}

func TestAlertSettingsThatAreRefused(t *testing.T) {
	mail := map[string]string{"TENDERLINE_MAIL_HOST": "mail.acme.example", "TENDERLINE_MAIL_FROM": "orders@acme.example"}
	for name, test := range map[string]struct {
		env  map[string]string
		want string
	}{
		"unknown kind":             {map[string]string{"TENDERLINE_ALERTS_IT": "log,fax:s3cret"}, "TENDERLINE_ALERTS_IT: entry 2 must be slack:name, mailto:address or log"},
		"secret in the open":       {map[string]string{"TENDERLINE_ALERTS_IT": "slack:https://s3cret"}, "TENDERLINE_ALERTS_IT: entry 1 must be slack:name; the address itself is a secret"},
		"twice":                    {map[string]string{"TENDERLINE_ALERTS_IT": "log,log"}, "TENDERLINE_ALERTS_IT: entry 2 is there twice"},
		"no address":               {map[string]string{"TENDERLINE_ALERTS_IT": "mailto:s3cret"}, "TENDERLINE_ALERTS_IT: entry 1"},
		"two addresses":            {map[string]string{"TENDERLINE_ALERTS_IT": "mailto:a@s3cret.example b@s3cret.example"}, "TENDERLINE_ALERTS_IT: entry 1"},
		"address with a name":      {map[string]string{"TENDERLINE_ALERTS_IT": "mailto:S3cret <s3cret@x.example>"}, "TENDERLINE_ALERTS_IT: entry 1"},
		"header in the address":    {map[string]string{"TENDERLINE_ALERTS_IT": "mailto:a@s3cret.example\r\nBcc:b@s3cret.example"}, "TENDERLINE_ALERTS_IT: entry 1"},
		"unknown webhook":          {map[string]string{"TENDERLINE_ALERTS_IT": "slack:ops"}, "TENDERLINE_ALERTS_IT names slack:ops, which TENDERLINE_ALERTS_SLACK_URLS does not have"},
		"mail without a server":    {map[string]string{"TENDERLINE_ALERTS_FINANCE": "mailto:s3cret@x.example"}, "TENDERLINE_ALERTS_FINANCE has a mailto: route, which needs TENDERLINE_MAIL_HOST"},
		"webhook in the clear":     {map[string]string{"TENDERLINE_ALERTS_SLACK_URLS": "ops=http://hooks.example/s3cret"}, "TENDERLINE_ALERTS_SLACK_URLS: entry 1 (ops) must have an address that starts with https://"},
		"webhook with a user":      {map[string]string{"TENDERLINE_ALERTS_SLACK_URLS": "ops=https://u:s3cret@hooks.example/"}, "TENDERLINE_ALERTS_SLACK_URLS: entry 1"},
		"webhook without a name":   {map[string]string{"TENDERLINE_ALERTS_SLACK_URLS": "https://hooks.example/s3cret"}, "TENDERLINE_ALERTS_SLACK_URLS: entry 1 must be name=address"},
		"webhook twice":            {map[string]string{"TENDERLINE_ALERTS_SLACK_URLS": "a=https://h.example/s3cret,a=https://h.example/s3cret"}, "entry 2 has the name of an earlier one: a"},
		"base with a user":         {map[string]string{"TENDERLINE_ALERTS_BASE_URL": "https://u:s3cret@t.example"}, "TENDERLINE_ALERTS_BASE_URL"},
		"no tries":                 {map[string]string{"TENDERLINE_ALERTS_TRIES": "0"}, "TENDERLINE_ALERTS_TRIES must be at least 1"},
		"time runs backwards":      {map[string]string{"TENDERLINE_ALERTS_QUIET": "-1s"}, "TENDERLINE_ALERTS_QUIET must not be negative"},
		"no pause":                 {map[string]string{"TENDERLINE_ALERTS_INTERVAL": "0s"}, "TENDERLINE_ALERTS_INTERVAL must be longer than 0"},
		"customers without server": {map[string]string{"TENDERLINE_MAIL_CUSTOMERS": "true"}, "TENDERLINE_MAIL_CUSTOMERS needs TENDERLINE_MAIL_HOST"},
		"no sender":                {with(mail, "TENDERLINE_MAIL_FROM", ""), "TENDERLINE_MAIL_FROM is required"},
		"no such sender":           {with(mail, "TENDERLINE_MAIL_FROM", "s3cret"), "TENDERLINE_MAIL_FROM must be a mail address"},
		"no such answer address":   {with(mail, "TENDERLINE_MAIL_REPLY_TO", "s3cret"), "TENDERLINE_MAIL_REPLY_TO must be a mail address"},
		"server with a port":       {with(mail, "TENDERLINE_MAIL_HOST", "s3cret.example:25"), "TENDERLINE_MAIL_HOST must be the name of a host"},
		"port":                     {with(mail, "TENDERLINE_MAIL_PORT", "70000"), "TENDERLINE_MAIL_PORT must be between"},
		"unknown TLS":              {with(mail, "TENDERLINE_MAIL_TLS", "s3cret"), "TENDERLINE_MAIL_TLS must be starttls, implicit or none"},
		"in the clear":             {with(mail, "TENDERLINE_MAIL_TLS", "none"), "TENDERLINE_MAIL_TLS may be none only for a server on this machine"},
		"half an account":          {with(mail, "TENDERLINE_MAIL_USERNAME", "s3cret"), "TENDERLINE_MAIL_PASSWORD and TENDERLINE_MAIL_USERNAME go together"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Map(test.env))
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, strings.ToLower(err.Error()), "s3cret")
		})
	}
	_, err := config.Load(config.Map(with(mail, "TENDERLINE_MAIL_TLS", "none", "TENDERLINE_MAIL_HOST", "::1")))
	require.NoError(t, err)
}

func with(values map[string]string, pairs ...string) map[string]string {
	all := map[string]string{}
	for name, value := range values {
		all[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return all
}

func TestWebhooksDoNotShow(t *testing.T) {
	const env = "ops=https://hooks.example/s3cret"
	c := load(t, map[string]string{"TENDERLINE_ALERTS_SLACK_URLS": env})
	text, err := json.Marshal(c.Alerts)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "webhooks", c.Alerts.Webhooks)
	require.NotContains(t, string(text)+log.String()+fmt.Sprintf("%v %+v %#v", c.Alerts, c.Alerts, c.Alerts.Webhooks), "s3cret")
	for _, v := range config.Variables(config.Map(map[string]string{"TENDERLINE_ALERTS_SLACK_URLS": env})) {
		require.NotContains(t, v.Value, "s3cret")
		require.Equal(t, v.Name == "TENDERLINE_ALERTS_SLACK_URLS", v.Set)
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add("slack:ops, mailto:a@b.example,log", "ops=https://hooks.example/x")
	f.Add("mailto:\"a b\"@c.example", "a=http://[::1]:1/")
	f.Fuzz(func(t *testing.T, routes, webhooks string) {
		var r config.Routes
		if r.Decode(routes) == nil {
			for _, route := range r {
				require.Equal(t, route.Kind == config.RouteLog, route.Target == "")
				require.NotContains(t, route.Target, "\n")
			}
		}
		var w config.Webhooks
		if w.Decode(webhooks) == nil {
			for name, address := range w {
				require.NotEmpty(t, name)
				require.True(t, strings.HasPrefix(strings.ToLower(address.Reveal()), "http"))
			}
		}
	})
}
