package notify

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/tenderline/tenderline/internal/fault"
)

// MailTLS says how the connection to the server is secured.
type MailTLS string

// The ways.
const (
	StartTLS    MailTLS = "starttls" // mandatory: a server without it gets nothing
	ImplicitTLS MailTLS = "implicit"
	NoTLS       MailTLS = "none"
)

// MailConfig describes the mail server.
type MailConfig struct {
	Host     string
	Port     int
	TLS      MailTLS
	Username string // "": the server asks for no account
	Password string
	From     mail.Address
	ReplyTo  *mail.Address  // nil: none
	Timeout  time.Duration  // connecting, and then one delivery
	Roots    *x509.CertPool // authorities of the server's certificate; nil: the system's
}

// Mailer sends mails through one server. It is safe for concurrent use: every mail has a connection of its own.
type Mailer struct {
	config MailConfig
	clock  func() time.Time
}

// NewMailer makes a mailer; it connects to nothing yet.
func NewMailer(config MailConfig, clock func() time.Time) (*Mailer, error) {
	m := &Mailer{config: config, clock: clock}
	if _, _, err := m.client(); err != nil {
		return nil, err
	}
	return m, nil
}

// To gives a notifier that writes to one address. Of several addresses each gets a mail of its own: a server that refuses one of them
// keeps the others from nothing.
func (m *Mailer) To(address string) Notifier { return mailbox{m, address} }

// Customers gives a notifier that writes to whom each message names.
func (m *Mailer) Customers() Notifier { return mailbox{m, ""} }

// Check connects, secures the connection and signs in; it sends nothing.
func (m *Mailer) Check(ctx context.Context) error {
	client, hangUp, err := m.client()
	if err != nil {
		return err
	}
	defer hangUp()
	connection, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return smtpFault(err)
	}
	return smtpFault(client.CloseWithSMTPClient(connection))
}

// client makes a client for one connection, and gives what closes that connection. The library closes it by itself only once it is set
// up: one that is refused would stay open.
func (m *Mailer) client() (client *gomail.Client, hangUp func(), err error) {
	var opened net.Conn
	secure := &tls.Config{ServerName: m.config.Host, RootCAs: m.config.Roots, MinVersion: tls.VersionTLS12}
	options := []gomail.Option{
		gomail.WithPort(m.config.Port), gomail.WithTimeout(m.config.Timeout), gomail.WithTLSConfig(secure),
		gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (connection net.Conn, err error) {
			if m.config.TLS == ImplicitTLS {
				connection, err = (&tls.Dialer{Config: secure}).DialContext(ctx, network, address)
			} else {
				connection, err = new(net.Dialer).DialContext(ctx, network, address)
			}
			opened = connection
			return connection, err
		}),
	}
	way := gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover) // without TLS it takes no way that shows the password
	switch m.config.TLS {
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
		// The library does not see that our connection is encrypted.
		way = gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin)
	case NoTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if m.config.Username != "" {
		options = append(options, way, gomail.WithUsername(m.config.Username), gomail.WithPassword(m.config.Password))
	}
	client, err = gomail.NewClient(m.config.Host, options...)
	if err != nil {
		return nil, nil, &fault.Fault{Kind: fault.Credentials, System: "mail", Message: "the settings of the mail server are not valid"}
	}
	return client, func() {
		if opened != nil {
			_ = opened.Close() // a second close changes nothing
		}
	}, nil
}

// mailbox is a Mailer that writes to one address, or ("") to whom each message names.
type mailbox struct {
	mailer  *Mailer
	address string
}

// Send delivers one mail to one recipient.
func (b mailbox) Send(ctx context.Context, message Message) error {
	to := Recipient{Address: b.address}
	if b.address == "" {
		to = message.To
	}
	letter, err := b.mailer.letter(to, message)
	if err != nil {
		return err
	}
	client, hangUp, err := b.mailer.client()
	if err != nil {
		return err
	}
	defer hangUp()
	err = client.DialAndSendWithContext(ctx, letter)
	switch {
	case letter.IsDelivered():
		return nil // what failed after it, such as the good-bye, must not send it again
	case letter.HasSendError():
		return smtpFault(letter.SendError())
	default:
		return smtpFault(err)
	}
}

// letter writes a mail.
func (m *Mailer) letter(to Recipient, message Message) (*gomail.Msg, error) {
	recipient, err := mail.ParseAddress(to.Address)
	if err != nil || recipient.Address != to.Address || strings.ContainsFunc(to.Address, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, &fault.Fault{Kind: fault.Value, System: "mail", Code: "ADDRESS", Message: "the recipient's address is not valid"}
	}
	recipient.Name = oneLine(to.Name, maxName)
	letter := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	letter.FromMailAddress(&m.config.From)
	letter.ToMailAddress(recipient)
	if m.config.ReplyTo != nil {
		letter.ReplyToMailAddress(m.config.ReplyTo)
	}
	letter.Subject(oneLine(message.Subject, maxSubject))
	letter.SetDateWithValue(m.clock())
	letter.SetMessageIDWithValue(m.messageID(message.Key, recipient.Address))
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's absence note answers it
	letter.SetBodyString(gomail.TypeTextPlain, plainBody(message))
	if message.HTML != "" {
		letter.AddAlternativeString(gomail.TypeTextHTML, message.HTML)
	}
	return letter, nil
}

// messageID is the same for the same message to the same person, so that a mail that is sent twice, because its answer was lost, is
// recognizable as one.
func (m *Mailer) messageID(key, recipient string) string {
	sum := sha256.Sum256([]byte(key + "\x00" + recipient))
	_, domain, _ := strings.Cut(m.config.From.Address, "@")
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20])) + "@" + domain
}

// plainBody is the text of a mail; a customer's is complete as its template made it.
func plainBody(message Message) string {
	var body strings.Builder
	body.WriteString(strings.TrimSpace(visible(strings.ReplaceAll(message.Text, "\r\n", "\n"), true)))
	if len(message.Lines) > 0 {
		body.WriteString("\n")
	}
	for _, line := range message.Lines {
		body.WriteString("\n- " + oneLine(line, maxLine))
	}
	if message.Link.URL != "" {
		body.WriteString("\n\n" + message.Link.Text + ": " + message.Link.URL)
	}
	return strings.TrimSpace(body.String()) + "\n"
}

// smtpFault tells what went wrong by the step and the server's code. The server's words are left out: they repeat addresses.
func smtpFault(err error) error {
	if err == nil {
		return nil
	}
	f := &fault.Fault{Kind: fault.Connection, System: "mail", Message: "the mail server can't be reached, or broke off"}
	var refused *gomail.SendError
	var answer *textproto.Error
	var network net.Error
	switch {
	case errors.As(err, &refused):
		f.Message = "the mail server did not take it (" + refused.Reason.String() + ")"
		f.Code = smtpCode(refused.ErrorCode(), refused.EnhancedStatusCode())
		f.Kind = kindOf(refused)
	case errors.As(err, &answer):
		f.Message, f.Code = "the mail server refuses us, or the account", strconv.Itoa(answer.Code)
		if answer.Code/100 == 5 {
			f.Kind = fault.Credentials
		}
	case errors.As(err, &network) && network.Timeout():
		f.Message = "the mail server did not answer in time"
	case strings.Contains(err.Error(), "STARTTLS"), strings.Contains(err.Error(), "SMTP AUTH"), errors.Is(err, gomail.ErrNoSupportedAuthDiscovered):
		f.Kind, f.Message = fault.Credentials, "the mail server does not offer STARTTLS, or no way to sign in"
	}
	return f
}

// kindOf is the class of a refusal. A permanent one of the recipient is the recipient's, others are about us or the message.
func kindOf(refused *gomail.SendError) fault.Kind {
	code := refused.ErrorCode()
	switch {
	case code/100 == 5 && refused.Reason == gomail.ErrSMTPRcptTo:
		return fault.MissingReference
	case code/100 == 5:
		return fault.DeclinedByPolicy
	case code/100 == 4:
		return fault.RateLimit // greylisting, full mailbox, too many mails: later
	default:
		return fault.UnknownOutcome
	}
}

func smtpCode(code int, enhanced string) string {
	switch {
	case code == 0:
		return ""
	case enhanced == "":
		return strconv.Itoa(code)
	default:
		return fmt.Sprintf("%d %s", code, enhanced)
	}
}
