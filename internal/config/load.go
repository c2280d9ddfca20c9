package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Environment looks a variable up, as os.LookupEnv does.
type Environment func(name string) (string, bool)

// Map makes an Environment of a map.
func Map(values map[string]string) Environment {
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

// Load reads the settings, with defaults for what is not set or empty, and reports everything that is wrong at once. What a
// process needs beyond that, Check tells.
func Load(env Environment) (Config, error) {
	var c Config
	var problems []error
	for _, field := range fields(Prefix, reflect.ValueOf(&c).Elem()) {
		value, _ := env(field.name)
		if err := field.assign(value); err != nil {
			problems = append(problems, err)
		}
	}
	channels, err := c.readChannels(env)
	c.channels = channels
	problems = append(problems, c.values()...)
	if err != nil {
		problems = append(problems, err)
	}
	return c, errors.Join(problems...)
}

// field is one variable with the place of its value.
type field struct {
	name  string
	value reflect.Value
	tag   reflect.StructTag
}

// fields walks the settings in the order in which they are written; structs without a name of their own lend their fields.
func fields(prefix string, section reflect.Value) []field {
	var list []field
	for i := range section.NumField() {
		member := section.Type().Field(i)
		if !member.IsExported() {
			continue
		}
		name := prefix
		if own := member.Tag.Get("envconfig"); own != "" {
			name += "_" + own
		}
		if member.Type.Kind() == reflect.Struct {
			list = append(list, fields(name, section.Field(i))...)
			continue
		}
		list = append(list, field{name: name, value: section.Field(i), tag: member.Tag})
	}
	return list
}

// assign takes a value, or the default. Numbers, durations, switches and lists are converted by envconfig, which reads the process's
// environment only: it gets the value as the default of a struct made for it, under a name that no variable can have. Texts, and with
// them every secret, don't pass through it.
func (f field) assign(value string) error {
	if value == "" {
		value = f.tag.Get("default")
	}
	if value == "" {
		return nil
	}
	if decoder, ok := f.value.Addr().Interface().(envconfig.Decoder); ok {
		if err := decoder.Decode(value); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		return nil
	}
	if f.value.Kind() == reflect.String {
		f.value.SetString(value)
		return nil
	}
	holder := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: "Value", Type: f.value.Type(), Tag: reflect.StructTag(`default:` + strconv.Quote(value)),
	}}))
	if err := envconfig.Process("=", holder.Interface()); err != nil {
		return fmt.Errorf("%s %s", f.name, f.rule()) // the library's error repeats the value
	}
	f.value.Set(holder.Elem().Field(0))
	return nil
}

// rule says what a value should have been.
func (f field) rule() string {
	switch f.value.Interface().(type) {
	case time.Duration:
		return "must be a duration such as 30s, 15m or 4h"
	case bool:
		return "must be true or false"
	case float64:
		return "must be a number"
	default:
		return "must be a whole number"
	}
}

// values checks what each value must be, whatever the process.
func (c Config) values() []error {
	v := &checks{}
	v.text("DEPLOYMENT", c.Deployment)
	v.oneOf("CYBERSOURCE_AUTH", c.Cybersource.Auth, "jwt", "jwt_p12", "http_signature")
	v.oneOf("CYBERSOURCE_TRANSACTION_ID_GUARD", string(c.Cybersource.Guard), string(GuardUnverified), string(GuardVerified))
	v.address("CYBERSOURCE_BASE_URL", c.Cybersource.BaseURL)
	v.address("CALLBACK_URL", c.Callback.URL)
	v.address("TRACE_ENDPOINT", c.Trace.Endpoint)
	for _, origin := range c.Codec.Origins {
		v.origin("CODEC_ORIGINS", origin)
	}
	v.oneOf("ERP", c.ERP, KnownERPs()...)
	v.oneOf("LOG_LEVEL", c.Log.Level, "debug", "info", "warn", "error")
	v.oneOf("LOG_FORMAT", c.Log.Format, "json", "text")
	for _, role := range c.Worker.Roles {
		v.oneOf("WORKER_ROLES", role, RoleWorkflows, RoleCybersource, RoleErp)
	}
	for _, erp := range c.Worker.ERPs {
		v.oneOf("WORKER_ERPS", erp, KnownERPs()...)
	}
	v.positive("CYBERSOURCE_TIMEOUT", c.Cybersource.Timeout)
	v.below("CYBERSOURCE_TIMEOUT", c.Cybersource.Timeout, c.Policy.StepTimeout, "TENDERLINE_POLICY_STEP_TIMEOUT")
	v.positive("CYBERSOURCE_SETTLE_WAIT", c.Cybersource.SettleWait)
	v.positive("CYBERSOURCE_RESOLVE_BUDGET", c.Cybersource.ResolveBudget)
	v.positive("CYBERSOURCE_INDEX_LAG", c.Cybersource.IndexLag)
	v.positive("CYBERSOURCE_WEBHOOK_MAX_AGE", c.Cybersource.WebhookMaxAge)
	v.positive("CALLBACK_TIMEOUT", c.Callback.Timeout)
	v.below("CALLBACK_TIMEOUT", c.Callback.Timeout, c.Policy.StepTimeout, "TENDERLINE_POLICY_STEP_TIMEOUT")
	v.positive("HTTP_TIMEOUT", c.HTTP.Timeout)
	v.below("HTTP_MAX_WAIT", c.HTTP.MaxWait, c.HTTP.Timeout, "TENDERLINE_HTTP_TIMEOUT")
	v.positive("HTTP_SHUTDOWN_TIMEOUT", c.HTTP.ShutdownTimeout)
	v.positive("SWEEP_INTERVAL", c.Sweep.Interval)
	v.positive("SWEEP_OLDER_THAN", c.Sweep.OlderThan)
	v.atLeast("SWEEP_INBOX_TRIES", int64(c.Sweep.InboxTries), 1)
	v.atLeast("HTTP_BODY_LIMIT", c.HTTP.BodyLimit, 1024)
	v.atLeast("HTTP_WEBHOOK_BODY_LIMIT", c.HTTP.WebhookLimit, 1024)
	v.atLeast("HTTP_BURST", int64(c.HTTP.Burst), 1)
	v.atLeast("WORKER_MAX_CONCURRENT_ACTIVITIES", int64(c.Worker.MaxConcurrentActivities), 1)
	v.atLeast("WORKER_MAX_CONCURRENT_WORKFLOWS", int64(c.Worker.MaxConcurrentWorkflows), 2)
	v.share("TRACE_RATIO", c.Trace.Ratio)
	v.rate("HTTP_RATE", c.HTTP.Rate)
	v.alerts(c.Alerts, c.Mail)
	v.mail(c.Mail)
	v.settlement(c.Settlement)
	v.rates(c.Settlement, c.SettlementErp(), c.keepsRates(c.SettlementErp()))
	v.erps(c)
	v.positive("CHARGEBACK_REMIND", c.Chargeback.Remind)
	v.outbound("CYBERSOURCE", c.Cybersource.Outbound)
	v.proxies("HTTP_TRUSTED_PROXIES", c.HTTP.TrustedProxies)
	v.found = append(v.found, c.Policy.problems(func(field string) string { return Prefix + "_POLICY_" + field })...)
	if c.Policy.GatewayPatience <= c.Cybersource.ResolveBudget {
		v.fail("POLICY_GATEWAY_PATIENCE", "must be longer than TENDERLINE_CYBERSOURCE_RESOLVE_BUDGET")
	}
	if c.Codec.Open && !Loopback(c.HTTP.Address) {
		v.fail("CODEC_OPEN", "is for an API that listens on loopback only (TENDERLINE_HTTP_ADDRESS)")
	}
	if c.ChannelsFile != "" && c.ChannelsText != "" {
		v.fail("CHANNELS", "and TENDERLINE_CHANNELS_FILE exclude each other")
	}
	return v.found
}

// Use is a part of the settings that a process needs.
type Use string

// The uses.
const (
	UseJournal Use = "journal" // database and encryption keys
	UseGateway Use = "gateway" // Cybersource credentials
	UseErp     Use = "erp"     // ERP credentials of every ERP that the process serves
	UseAPI     Use = "api"     // API keys
)

// Check tells, all at once, what is missing for a process that uses these parts.
func (c Config) Check(uses ...Use) error {
	v := &checks{}
	for _, use := range uses {
		switch use {
		case UseJournal:
			v.required("DATABASE_DSN", c.Database.DSN.Reveal())
			v.required("ENCRYPTION_KEYS", c.Encryption.Keys.Reveal())
			v.keyring("ENCRYPTION_KEYS", c.Encryption.Keys)
		case UseGateway:
			c.Cybersource.check(v)
		case UseErp:
			v.found = append(v.found, c.CheckERPs(c.ServedERPs()...))
		case UseAPI:
			if len(c.API.Keys) == 0 {
				v.fail("API_KEYS", "is required: nobody could call")
			}
			v.webhookKeys("CYBERSOURCE_WEBHOOK_KEYS", c.Cybersource.WebhookKeys)
			for _, erp := range KnownERPs() {
				settings, _ := c.ERPSettings(erp)
				v.webhookKeys(erpVariable(erp)+"_CHANGES_WEBHOOK_KEYS", settings.Changes.WebhookKeys)
			}
			v.file("CYBERSOURCE_MLE_PRIVATE_KEY_FILE", c.Cybersource.MLEPrivateKeyFile)
		}
	}
	return errors.Join(v.found...)
}

func (g Cybersource) check(v *checks) {
	v.required("CYBERSOURCE_BASE_URL", g.BaseURL)
	v.required("CYBERSOURCE_MERCHANT_ID", g.MerchantID)
	if g.Auth == "jwt_p12" {
		v.required("CYBERSOURCE_P12_FILE", g.P12File)
		v.required("CYBERSOURCE_P12_PASSWORD", g.P12Password.Reveal())
		v.file("CYBERSOURCE_P12_FILE", g.P12File)
		return
	}
	v.required("CYBERSOURCE_KEY_ID", g.KeyID)
	v.required("CYBERSOURCE_SHARED_SECRET", g.SharedSecret.Reveal())
	if !isBase64(g.SharedSecret.Reveal()) {
		v.fail("CYBERSOURCE_SHARED_SECRET", "must be base64")
	}
}

// CheckERPs tells, all at once, what is missing for work at these ERPs.
func (c Config) CheckERPs(names ...string) error {
	v := &checks{}
	for _, name := range names {
		if section, known := c.erpSections()[name]; known {
			section.check(v, erpVariable(name))
		}
	}
	return errors.Join(v.found...)
}

// WebhookKeySet gives the webhook signature keys by id, base64 as the gateway shows them.
func (g Cybersource) WebhookKeySet() (map[string]string, error) {
	keys, err := parseKeys(g.WebhookKeys.Reveal())
	if err != nil {
		return nil, fmt.Errorf("%s_CYBERSOURCE_WEBHOOK_KEYS: %w", Prefix, err)
	}
	return keys, nil
}

// Variable is one setting for people.
type Variable struct {
	Name    string `json:"name"`
	Value   string `json:"value"` // in effect; of a secret only whether it is set
	Default string `json:"default"`
	Meaning string `json:"meaning"`
	Set     bool   `json:"set"`
	Secret  bool   `json:"secret,omitempty"`
}

// Variables lists every setting with its default and meaning, and what the environment makes of it.
func Variables(env Environment) []Variable {
	var c Config
	var list []Variable
	for _, field := range fields(Prefix, reflect.ValueOf(&c).Elem()) {
		value, _ := env(field.name)
		v := Variable{
			Name: field.name, Default: field.tag.Get("default"), Meaning: field.tag.Get("desc"), Set: value != "", Secret: field.secret(),
		}
		switch {
		case v.Set && v.Secret:
			v.Value = masked
		case v.Set:
			v.Value = value
		default:
			v.Value = v.Default
		}
		list = append(list, v)
	}
	return list
}

// secret tells whether the value must not be shown; the hashes of API keys would help whoever guesses.
func (f field) secret() bool {
	switch f.value.Interface().(type) {
	case Secret, Keys, Webhooks:
		return true
	default:
		return false
	}
}

// readFile reads a file whose path is a setting.
func readFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var fault *os.PathError
		if errors.As(err, &fault) {
			return nil, fault.Err
		}
	}
	return text, err
}

// webAddress tells whether a text is an absolute http or https URL without user information.
func webAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}

// trimmed is a list without blanks around its entries.
func trimmed(list []string) []string {
	out := make([]string, 0, len(list))
	for _, entry := range list {
		if entry = strings.TrimSpace(entry); entry != "" {
			out = append(out, entry)
		}
	}
	return out
}
