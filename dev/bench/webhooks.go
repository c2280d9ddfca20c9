package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// webhook is a signed delivery, ready to be sent.
type webhook struct {
	body      []byte
	signature string
}

// webhookRounds has the API take events: verified, stored durably, acknowledged. They are of a type that no process waits for.
func (b *bench) webhookRounds(ctx context.Context, o options) ([]load, error) {
	var rounds []load
	for range o.rounds {
		deliveries, err := b.webhooks(o.webhooks)
		if err != nil {
			return nil, err
		}
		measured, err := repeat(ctx, len(deliveries), o.concurrency, func(ctx context.Context, i int) error {
			answer, err := b.world.Call(ctx, http.MethodPost, b.stack.APIURL()+"/webhooks/cybersource", "", deliveries[i].body,
				"v-c-signature", deliveries[i].signature)
			if err == nil && answer.Status != http.StatusOK {
				err = fmt.Errorf("webhook: %d %s", answer.Status, answer.Body)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, measured)
	}
	return rounds, nil
}

// webhooks makes so many events, each about another transaction, signed as the gateway signs.
func (b *bench) webhooks(count int) ([]webhook, error) {
	keyID, encoded, _ := strings.Cut(b.stack.Env["TENDERLINE_CYBERSOURCE_WEBHOOK_KEYS"], ":")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("webhook key: %w", err)
	}
	deliveries := make([]webhook, count)
	for i := range deliveries {
		b.serial++
		body := fmt.Appendf(nil, `{"eventType":"payments.payments.accept","webhookId":"bench","productId":"payments","organizationId":"bench",`+
			`"eventDate":%q,"payload":{"data":{"id":"bench-%d","status":"AUTHORIZED","clientReferenceInformation":{"code":"BENCH-%d"}}}}`,
			time.Now().UTC().Format(time.RFC3339), b.serial, b.serial)
		stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		deliveries[i] = webhook{body, "t=" + stamp + ";keyId=" + keyID + ";sig=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
	}
	return deliveries, nil
}
