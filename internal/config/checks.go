package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tenderline/tenderline/internal/keyring"
)

// checks collects problems of variables by their name without prefix. No message holds a value that could be a secret.
type checks struct{ found []error }

func (c *checks) fail(name, rule string) {
	c.found = append(c.found, fmt.Errorf("%s_%s %s", Prefix, name, rule))
}

func (c *checks) required(name, value string) {
	if value == "" {
		c.fail(name, "is required")
	}
}

func (c *checks) text(name, value string) {
	if strings.TrimSpace(value) == "" {
		c.fail(name, "must not be blank")
	}
}

func (c *checks) oneOf(name, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.fail(name, "must be "+either(allowed))
	}
}

func (c *checks) shaped(name, value string, shape *regexp.Regexp, rule string) {
	if !shape.MatchString(value) {
		c.fail(name, rule)
	}
}

func (c *checks) zone(name, value string) {
	if _, err := time.LoadLocation(value); err != nil || value == "" || value == "Local" {
		c.fail(name, "must be the name of a time zone such as UTC or America/Los_Angeles")
	}
}

func (c *checks) address(name, value string) {
	if value != "" && !webAddress(value) {
		c.fail(name, "must be an address that starts with http:// or https://, without a user")
	}
}

// origin is scheme, host and port alone.
func (c *checks) origin(name, value string) {
	u, err := url.Parse(value)
	if err != nil || !webAddress(value) || u.Path != "" || u.RawQuery != "" {
		c.fail(name, "must hold origins such as https://temporal.example, without a path")
	}
}

func (c *checks) positive(name string, value time.Duration) {
	if value <= 0 {
		c.fail(name, "must be longer than 0")
	}
}

func (c *checks) below(name string, value, limit time.Duration, what string) {
	if value >= limit {
		c.fail(name, "must be shorter than "+what)
	}
}

func (c *checks) atLeast(name string, value, least int64) {
	if value < least {
		c.fail(name, fmt.Sprintf("must be at least %d", least))
	}
}

func (c *checks) share(name string, value float64) {
	if !(value >= 0 && value <= 1) { // also refuses NaN
		c.fail(name, "must be between 0 and 1")
	}
}

func (c *checks) rate(name string, value float64) {
	if !(value >= 0 && value <= 1e6) {
		c.fail(name, "must be between 0 and 1000000")
	}
}

func (c *checks) outbound(name string, o Outbound) {
	c.rate(name+"_RATE", o.Rate)
	c.rate(name+"_ACTIVITIES_PER_SECOND", o.ActivitiesPerSecond)
	c.share(name+"_BREAKER_RATIO", o.BreakerRatio)
	c.atLeast(name+"_BURST", int64(o.Burst), 1)
	c.positive(name+"_BREAKER_WINDOW", o.BreakerWindow)
	c.positive(name+"_BREAKER_OPEN_FOR", o.BreakerOpenFor)
}

func (c *checks) proxies(name string, ranges []string) {
	for _, text := range ranges {
		if _, err := netip.ParsePrefix(text); err != nil {
			c.fail(name, "must hold address ranges such as 10.0.0.0/8")
			return
		}
	}
}

func (c *checks) file(name, path string) {
	if path == "" {
		return
	}
	if _, err := os.Stat(path); err != nil {
		c.fail(name, "names a file that can't be read")
	}
}

func (c *checks) keyring(name string, keys Secret) {
	if keys == "" {
		return
	}
	if _, err := keyring.Parse(keys.Reveal()); err != nil {
		c.fail(name, "is no key ring: "+err.Error()) // the key ring's errors never repeat key material
	}
}

func (c *checks) webhookKeys(name string, keys Secret) {
	if _, err := parseKeys(keys.Reveal()); err != nil {
		c.fail(name, err.Error())
	}
}

// parseKeys reads "id:base64,...".
func parseKeys(text string) (map[string]string, error) {
	keys := map[string]string{}
	for i, entry := range trimmed(strings.Split(text, ",")) {
		id, encoded, found := strings.Cut(entry, ":")
		if !found || id == "" {
			return nil, fmt.Errorf("entry %d is not keyId:base64", i+1)
		}
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("entry %d holds a key that is not base64", i+1)
		}
		if _, twice := keys[id]; twice {
			return nil, fmt.Errorf("entry %d repeats a key id", i+1)
		}
		keys[id] = encoded
	}
	return keys, nil
}

func isBase64(text string) bool {
	_, err := base64.StdEncoding.DecodeString(text)
	return err == nil
}

// Loopback tells whether a listen address can be reached from this machine alone.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackHost(host)
}

// loopbackHost tells whether a host is this machine itself.
func loopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// problems checks a policy; name gives the place of a field (ON_ERP_FAILURE) as the reader knows it.
func (p Policy) problems(name func(field string) string) []error {
	var found []error
	fail := func(field, rule string) { found = append(found, fmt.Errorf("%s %s", name(field), rule)) }
	oneOf := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			fail(field, "must be "+either(allowed))
		}
	}
	oneOf("STOCK", p.Stock, "reject", "backorder", "park")
	oneOf("CREDIT", p.Credit, "ignore", "reject", "park")
	oneOf("INVOICE", p.Invoice, "at_order", "on_shipment")
	oneOf("ON_ERP_FAILURE", p.OnErpFailure, "park", "compensate")
	oneOf("ERP_CANCELLED", p.ErpCancelled, ErpProposeRefund, ErpTell, ErpIgnore)
	oneOf("ERP_HELD", p.ErpHeld, ErpTell, ErpIgnore)
	oneOf("REVIEW_DEFAULT", string(p.ReviewDefault), "reject", "accept")
	if p.PaymentTries < 1 || p.PaymentTries > 10 {
		fail("PAYMENT_TRIES", "must be between 1 and 10")
	}
	for _, limit := range []struct {
		field string
		value time.Duration
	}{
		{"PAYMENT_WAIT", p.PaymentWait},
		{"REVIEW_REMIND", p.ReviewRemind},
		{"REVIEW_ESCALATE", p.ReviewEscalate},
		{"REVIEW_POLL", p.ReviewPoll},
		{"AUTHORIZATION_LIFE", p.AuthorizationLife},
	} {
		if limit.value < 0 {
			fail(limit.field, "must not be negative")
		}
	}
	for _, limit := range []struct {
		field string
		value time.Duration
	}{
		{"PREPARATION_FOR", p.PreparationFor},
		{"TOKEN_LIFE", p.TokenLife},
		{"PARK_DEADLINE", p.ParkDeadline},
		{"REVIEW_DEADLINE", p.ReviewDeadline},
		{"STEP_TIMEOUT", p.StepTimeout},
		{"GATEWAY_PATIENCE", p.GatewayPatience},
		{"ERP_PATIENCE", p.ErpPatience},
		{"CALLBACK_FOR", p.CallbackFor},
	} {
		if limit.value <= 0 {
			fail(limit.field, "must be longer than 0")
		}
	}
	if p.PreparationFor >= p.TokenLife {
		fail("PREPARATION_FOR", "must be shorter than the token's life")
	}
	return found
}

// either reads "a, b or c".
func either(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}
