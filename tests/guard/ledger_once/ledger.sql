BEGIN TRANSACTION;
CREATE TABLE ledger (
                    id       TEXT PRIMARY KEY,
                    tool     TEXT,
                    args     TEXT,
                    wf       TEXT,
                    created  TEXT,
                    touched  TEXT,
                    since    TEXT,
                    status   TEXT DEFAULT 'running',
                    attempts INT  DEFAULT 0,
                    runs     INT  DEFAULT 0,
                    blocked  INT  DEFAULT 0,
                    result   TEXT,
                    error    TEXT,
                    caller   TEXT
                );
INSERT INTO "ledger" VALUES('0e7ce065dba491abf2b8f01dc1d5f07f','shop_tools.charge','{"order": "A-7", "amount": 99.99, "currency": "usd"}','default','2026-11-24T11:07:16.491059+00:00','2026-11-24T11:07:16.491378+00:00',NULL,'success',3,1,2,'{"order": "A-7", "amount": 99.99, "$": "usd"}',NULL,NULL);
INSERT INTO "ledger" VALUES('610a049f9adf7489b5684ebbf26e4b14','shop_tools.send_email','{"to": "user@example.com", "lines": ["Hello", "Bye"], "headers": {"priority": 1, "tags": ["a", null]}}','default','2026-11-24T11:07:16.491483+00:00','2026-11-24T11:07:16.491529+00:00',NULL,'success',1,1,0,NULL,NULL,NULL);
INSERT INTO "ledger" VALUES('6922d05627714d107c12425339497cc9','shop_tools.send_email','{"to": "late@example.com", "lines": [], "headers": {}}','default','2026-11-24T11:07:16.491565+00:00','2026-11-24T11:07:16.491605+00:00',NULL,'success',1,1,0,NULL,NULL,NULL);
INSERT INTO "ledger" VALUES('f2978044deca72a556d00a009d3bdca3','shop_tools.notify','{"user": "ann"}','default','2026-11-24T11:07:16.491653+00:00','2026-11-24T11:07:16.491692+00:00',NULL,'success',1,1,0,'"told ann"',NULL,NULL);
INSERT INTO "ledger" VALUES('96aaa9e1dc60c7a444dd63f9193ba178','shop_tools.charge','{"order": "A-7", "amount": 99.99, "currency": "usd"}','order-42','2026-11-24T11:07:16.491735+00:00','2026-11-24T11:07:16.491773+00:00',NULL,'success',1,1,0,'{"order": "A-7", "amount": 99.99, "$": "usd"}',NULL,'agent-A');
INSERT INTO "ledger" VALUES('aeb8b0b5b5bde4019ac910f3b85de3a3','shop_tools.refund','{"order": "A-7"}','order-42','2026-11-24T11:07:16.491820+00:00','2026-11-24T11:07:16.491869+00:00',NULL,'failed',1,0,0,NULL,'ValueError: refund window closed','agent-A');
INSERT INTO "ledger" VALUES('3a3619f68b1fd4583d213127eb21679b','shop_tools.ship','{"order": "A-7"}','order-42','2026-11-24T11:07:16.491922+00:00','2026-11-24T11:07:16.491922+00:00','2026-11-24T11:07:16.491922+00:00','running',1,0,0,NULL,NULL,'agent-A');
CREATE INDEX i_wf     ON ledger(wf);
CREATE INDEX i_caller ON ledger(caller);
COMMIT;
