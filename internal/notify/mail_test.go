package notify_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/notify"
)

// letter is a mail that the fake server took.
type letter struct {
	from string
	to   []string
	mail *mail.Message
	raw  string
	body string
	tls  bool
	user string
}

// fakeSMTP is a mail server that says what it is told to say.
type fakeSMTP struct {
	listener net.Listener
	port     int
	secure   *tls.Config // nil: offers no STARTTLS
	implicit bool
	account  string            // "user\x00password"; "": asks for none
	refuse   map[string]string // answer by command
	dropQuit bool

	mutex    sync.Mutex
	letters  []letter
	commands []string
	wait     sync.WaitGroup
}

func newSMTP(t *testing.T, set func(*fakeSMTP)) *fakeSMTP {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &fakeSMTP{listener: listener, port: listener.Addr().(*net.TCPAddr).Port, refuse: map[string]string{}}
	if set != nil {
		set(s)
	}
	s.wait.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			s.wait.Go(func() { s.serve(connection) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.wait.Wait()
	})
	return s
}

// session is one connection.
type session struct {
	text   *textproto.Conn
	letter letter
}

func (s *fakeSMTP) serve(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(time.Minute))
	one := &session{}
	if s.implicit {
		connection, one.letter.tls = tls.Server(connection, s.secure), true
	}
	one.text = textproto.NewConn(connection)
	_ = one.text.PrintfLine("220 fake")
	for {
		line, err := one.text.ReadLine()
		if err != nil {
			return
		}
		verb := strings.ToUpper(strings.Fields(line + " ?")[0])
		s.note(line)
		switch {
		case s.refuse[verb] != "":
			_ = one.text.PrintfLine("%s", s.refuse[verb])
		case verb == "STARTTLS":
			_ = one.text.PrintfLine("220 go on")
			connection = tls.Server(connection, s.secure)
			one.text, one.letter.tls = textproto.NewConn(connection), true
		case verb == "QUIT" && s.dropQuit:
			return
		default:
			s.answer(one, verb, line)
		}
		if verb == "QUIT" {
			return
		}
	}
}

func (s *fakeSMTP) answer(one *session, verb, line string) {
	switch verb {
	case "EHLO":
		_ = one.text.PrintfLine("250-fake")
		if s.secure != nil && !one.letter.tls {
			_ = one.text.PrintfLine("250-STARTTLS")
		}
		if s.account != "" {
			_ = one.text.PrintfLine("250-AUTH PLAIN")
		}
		_ = one.text.PrintfLine("250-ENHANCEDSTATUSCODES")
		_ = one.text.PrintfLine("250 8BITMIME")
	case "AUTH":
		given, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "AUTH PLAIN "))
		if string(given) != "\x00"+s.account {
			_ = one.text.PrintfLine("535 5.7.8 wrong password for somebody@private.example")
			return
		}
		one.letter.user, _, _ = strings.Cut(s.account, "\x00")
		_ = one.text.PrintfLine("235 welcome")
	case "MAIL":
		one.letter.from = line
		_ = one.text.PrintfLine("250 ok")
	case "RCPT":
		one.letter.to = append(one.letter.to, line)
		_ = one.text.PrintfLine("250 ok")
	case "QUIT":
		_ = one.text.PrintfLine("221 bye")
	case "DATA":
		_ = one.text.PrintfLine("354 go on")
		s.take(one)
	default:
		_ = one.text.PrintfLine("250 ok")
	}
}

func (s *fakeSMTP) take(one *session) {
	raw, err := io.ReadAll(one.text.DotReader())
	if err != nil {
		return
	}
	if answer := s.refuse["."]; answer != "" {
		_ = one.text.PrintfLine("%s", answer)
		return
	}
	taken := one.letter
	taken.raw = string(raw)
	if taken.mail, err = mail.ReadMessage(strings.NewReader(taken.raw)); err == nil {
		body, _ := io.ReadAll(taken.mail.Body)
		taken.body = string(body)
	}
	s.mutex.Lock()
	s.letters = append(s.letters, taken)
	s.mutex.Unlock()
	one.letter.to = nil
	_ = one.text.PrintfLine("250 2.0.0 queued")
}

func (s *fakeSMTP) note(line string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.commands = append(s.commands, line)
}

func (s *fakeSMTP) received() []letter {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return append([]letter(nil), s.letters...)
}

func (s *fakeSMTP) heard() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return strings.Join(s.commands, "\n")
}

// mailer is one for the fake server, without TLS unless changed.
func (s *fakeSMTP) mailer(t *testing.T, change func(*notify.MailConfig)) *notify.Mailer {
	t.Helper()
	config := notify.MailConfig{
		Host: "127.0.0.1", Port: s.port, TLS: notify.NoTLS, From: mail.Address{Name: "Acme Shop", Address: "orders@acme.example"},
		ReplyTo: &mail.Address{Address: "help@acme.example"}, Timeout: time.Minute,
	}
	if change != nil {
		change(&config)
	}
	mailer, err := notify.NewMailer(config, atNoon)
	require.NoError(t, err)
	return mailer
}

func TestAMailIsWritten(t *testing.T) {
	s := newSMTP(t, nil)
	mailer := s.mailer(t, nil)
	message := notify.Message{
		Subject: "Order WEB-1 waits\r\nBcc: evil@x.example", Text: "Ünicode text\n.\nwith a dot", Lines: []string{"one\r\ntwo", "three"},
		Link: notify.Link{Text: "Open the case", URL: "https://t.example/v1/attention/1"}, Key: "notice-1",
	}
	require.NoError(t, mailer.To("otto@acme.example").Send(t.Context(), message))
	require.NoError(t, mailer.To("otto@acme.example").Send(t.Context(), message))
	require.NoError(t, mailer.To("ann@acme.example").Send(t.Context(), message))
	message.Key = "notice-2"
	require.NoError(t, mailer.To("otto@acme.example").Send(t.Context(), message))

	letters := s.received()
	require.Len(t, letters, 4)
	first := letters[0]
	require.Equal(t, []string{"RCPT TO:<otto@acme.example>"}, first.to)
	require.Contains(t, first.from, "<orders@acme.example>")
	header := first.mail.Header
	require.Equal(t, `"Acme Shop" <orders@acme.example>`, header.Get("From"))
	require.Equal(t, "<otto@acme.example>", header.Get("To"))
	require.Equal(t, "<help@acme.example>", header.Get("Reply-To"))
	require.Equal(t, "Order WEB-1 waits Bcc: evil@x.example", header.Get("Subject"))
	require.Empty(t, header.Get("Bcc"))
	require.Equal(t, "auto-generated", header.Get("Auto-Submitted"))
	require.Equal(t, "Ünicode text\n.\nwith a dot\n\n- one two\n- three\n\nOpen the case: https://t.example/v1/attention/1\n", decoded(t, first))
	at, err := header.Date()
	require.NoError(t, err)
	require.True(t, at.Equal(noon))

	id := header.Get("Message-ID")
	require.Regexp(t, `^<[a-z2-7]{32}@acme\.example>$`, id)
	require.Equal(t, id, letters[1].mail.Header.Get("Message-ID"), "a mail that is sent again is recognizable")
	require.NotEqual(t, id, letters[2].mail.Header.Get("Message-ID"))
	require.NotEqual(t, id, letters[3].mail.Header.Get("Message-ID"))
}

// decoded is the body of a mail of one part.
func decoded(t *testing.T, l letter) string {
	t.Helper()
	require.Equal(t, "quoted-printable", l.mail.Header.Get("Content-Transfer-Encoding"))
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(l.body)))
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// alternatives are the parts of a mail by their type.
func alternatives(t *testing.T, l letter) map[string]string {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(l.mail.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	parts := map[string]string{}
	reader := multipart.NewReader(bufio.NewReader(strings.NewReader(l.body)), parameters["boundary"])
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return parts
		}
		require.NoError(t, err)
		text, err := io.ReadAll(part)
		require.NoError(t, err)
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		require.NoError(t, err)
		parts[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

func TestACustomersMailHasBothForms(t *testing.T) {
	s := newSMTP(t, nil)
	message, err := write(t, builtIn(t), order("WEB-1"), toCustomer(notify.RefundCompleted, "WEB-1"))
	require.NoError(t, err)
	require.NoError(t, s.mailer(t, nil).Customers().Send(t.Context(), message))
	got := s.received()[0]
	require.Equal(t, `"Ada Park" <ada@customer.example>`, got.mail.Header.Get("To"))
	require.Equal(t, map[string]string{"text/plain": message.Text, "text/html": message.HTML}, alternatives(t, got))
}

func TestHostileRecipientsAreRefused(t *testing.T) {
	s := newSMTP(t, nil)
	customers := s.mailer(t, nil).Customers()
	for _, address := range []string{
		"", "nobody", "a@x.example, b@x.example", "a@x.example\r\nBcc: b@x.example", "a@x.example>\r\nDATA", "Ann <a@x.example>", "\"a\r\nb\"@x.example", " a@x.example",
	} {
		err := customers.Send(t.Context(), notify.Message{Subject: "s", Text: "t", To: notify.Recipient{Address: address}})
		require.True(t, fault.Is(err, fault.Value), "%q: %v", address, err)
		require.NotContains(t, err.Error(), "example")
	}
	require.Empty(t, s.heard(), "nothing was even connected")
	require.NoError(t, customers.Send(t.Context(), notify.Message{
		Subject: "s", Text: "t", To: notify.Recipient{Name: "Ann\r\nBcc: b@x.example", Address: "ann@x.example"},
	}))
	header := s.received()[0].mail.Header
	require.Empty(t, header.Get("Bcc"))
	to, err := header.AddressList("To")
	require.NoError(t, err)
	require.Equal(t, []*mail.Address{{Name: "Ann Bcc: b@x.example", Address: "ann@x.example"}}, to)
}

func TestRefusalsOfTheMailServer(t *testing.T) {
	for name, test := range map[string]struct {
		refuse map[string]string
		kind   fault.Kind
		code   string
	}{
		"unknown mailbox": {map[string]string{"RCPT": "550 5.1.1 no otto@private.example here"}, fault.MissingReference, "550 5.1.1"},
		"greylisted":      {map[string]string{"RCPT": "450 4.2.0 otto@private.example: come back"}, fault.RateLimit, "450 4.2.0"},
		"sender refused":  {map[string]string{"MAIL": "550 5.7.1 orders@private.example may not"}, fault.DeclinedByPolicy, "550 5.7.1"},
		"taken for spam":  {map[string]string{".": "554 5.7.1 otto@private.example does not want it"}, fault.DeclinedByPolicy, "554 5.7.1"},
		"busy":            {map[string]string{".": "451 4.3.0 otto@private.example later"}, fault.RateLimit, "451 4.3.0"},
		"no service":      {map[string]string{"EHLO": "554 private.example no service", "HELO": "554 private.example no service"}, fault.Credentials, "554"},
		"overloaded":      {map[string]string{"EHLO": "421 private.example later", "HELO": "421 private.example later"}, fault.Connection, "421"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSMTP(t, func(s *fakeSMTP) { s.refuse = test.refuse })
			err := s.mailer(t, nil).To("otto@private.example").Send(t.Context(), notify.Message{Subject: "s", Text: "t"})
			require.True(t, fault.Is(err, test.kind), "%v", err)
			require.Equal(t, test.code, fault.As(err).Code)
			require.NotContains(t, err.Error(), "private")
			require.Empty(t, s.received())
		})
	}
	gone := newSMTP(t, nil)
	require.NoError(t, gone.listener.Close())
	require.True(t, fault.Is(gone.mailer(t, nil).To("otto@private.example").Send(t.Context(), notify.Message{Subject: "s", Text: "t"}), fault.Connection))
}

func TestAMailThatWasTakenIsNotSentAgain(t *testing.T) {
	for name, set := range map[string]func(*fakeSMTP){
		"no good-bye":      func(s *fakeSMTP) { s.dropQuit = true },
		"reset is refused": func(s *fakeSMTP) { s.refuse["RSET"] = "502 what?" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSMTP(t, set)
			require.NoError(t, s.mailer(t, nil).To("otto@acme.example").Send(t.Context(), notify.Message{Subject: "s", Text: "t"}))
			require.Len(t, s.received(), 1)
		})
	}
}

// certificate is one for 127.0.0.1, with the pool that trusts it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, pool
}

func TestMailsAreSecured(t *testing.T) {
	secure, pool := certificate(t)
	message := notify.Message{Subject: "s", Text: "t"}
	for _, way := range []notify.MailTLS{notify.StartTLS, notify.ImplicitTLS} {
		t.Run(string(way), func(t *testing.T) {
			s := newSMTP(t, func(s *fakeSMTP) {
				s.secure, s.implicit, s.account = secure, way == notify.ImplicitTLS, "acme\x00s3cret"
			})
			trusted := func(password string) *notify.Mailer {
				return s.mailer(t, func(c *notify.MailConfig) {
					c.TLS, c.Username, c.Password, c.Roots = way, "acme", password, pool
				})
			}
			require.NoError(t, trusted("s3cret").Check(t.Context()))
			require.Empty(t, s.received(), "a check sends nothing")
			require.NoError(t, trusted("s3cret").To("otto@acme.example").Send(t.Context(), message))
			require.True(t, s.received()[0].tls)
			require.Equal(t, "acme", s.received()[0].user)

			err := trusted("s3cret-but-wrong").Check(t.Context())
			require.True(t, fault.Is(err, fault.Credentials), "%v", err)
			require.Equal(t, "535", fault.As(err).Code)
			require.NotContains(t, err.Error(), "private")
			require.NotContains(t, err.Error(), "s3cret")

			stranger := s.mailer(t, func(c *notify.MailConfig) { c.TLS = way })
			require.Error(t, stranger.To("otto@acme.example").Send(t.Context(), message), "an unknown authority")
			require.Len(t, s.received(), 1)
		})
	}
	t.Run("a server without STARTTLS gets nothing", func(t *testing.T) {
		s := newSMTP(t, nil)
		err := s.mailer(t, func(c *notify.MailConfig) { c.TLS = notify.StartTLS }).To("otto@acme.example").Send(t.Context(), message)
		require.True(t, fault.Is(err, fault.Credentials), "%v", err)
		require.NotContains(t, s.heard(), "MAIL")
	})
	t.Run("a password never goes in the clear", func(t *testing.T) {
		s := newSMTP(t, func(s *fakeSMTP) { s.account = "acme\x00s3cret" })
		err := s.mailer(t, func(c *notify.MailConfig) { c.Username, c.Password = "acme", "s3cret" }).Check(t.Context())
		require.True(t, fault.Is(err, fault.Credentials), "%v", err)
		require.NotContains(t, s.heard(), "AUTH")
	})
}

func TestASilentMailServerHoldsNobodyUp(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	s := &fakeSMTP{port: listener.Addr().(*net.TCPAddr).Port}
	mailer := s.mailer(t, func(c *notify.MailConfig) { c.Timeout = 50 * time.Millisecond })
	err = mailer.To("otto@acme.example").Send(t.Context(), notify.Message{Subject: "s", Text: "t"})
	require.True(t, fault.Is(err, fault.Connection), "%v", err)
	require.Contains(t, fmt.Sprint(err), "in time")
}
