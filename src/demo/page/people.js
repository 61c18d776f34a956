// Who is provisioned, and what the page tells of each dialect. Everybody here is invented.

/** What a visitor should know of a dialect: its name, its ways, and a person whom it refuses (null if it has no such rule). */
export const dialects = {
  ringcentral: {
    title: "RingCentral",
    about: "Three hundred reads and a thousand writes a minute. The user name must equal the work e-mail. Disabling switches the extension off, deleting frees it.",
    refused: (person) => ({ ...person, email: "somebody.else@example.com" }),
    why: "its user name and work e-mail differ",
    batch: "RingCentral admits 300 reads a minute: a cycle of 320 meets the limit and waits.",
  },
  "vonage-business": {
    title: "Vonage Business",
    about: "Someone who is already there is linked, not duplicated, and nobody sees them before. Names have no spaces. Disabling and deleting only unlink: the account stays.",
    refused: (person) => ({ ...person, given: "Mary Ann" }),
    why: "the first name has a space",
  },
  "vonage-contact-center": {
    title: "Vonage Contact Center",
    about: "No Authorize: a secret token. Who is there already stays hidden, but their user name is taken. Phone numbers have no spaces. Deleting archives.",
    refused: (person) => ({ ...person, phone: "+1 202 555 0143" }),
    why: "the phone number has spaces",
  },
  playvox: {
    title: "Playvox",
    about: "No Authorize: a base64 key as secret token. Deleting only deactivates, the data stays.",
    refused: null,
  },
  standard: {
    title: "Standard",
    about: "Plain SCIM 2.0 with both doors, Authorize and secret token. No vendor’s rules and no limits unless you set them.",
    refused: null,
  },
};

const given = ["Amara", "Bohdan", "Carmen", "Dilnoza", "Eilidh", "Farid", "Gudrun", "Haruki", "Ines", "Jomo", "Katya", "Leilani",
  "Mateus", "Nokuthula", "Oskar", "Priya", "Qiang", "Rania", "Sanna", "Tariq", "Uchenna", "Vesna", "Wanjiru", "Ximena", "Yusuf", "Zofia"];
const family = ["Abara", "Bergqvist", "Castellanos", "Demir", "Eriksen", "Fontaine", "Ganbold", "Haddad", "Ivanova", "Jokinen", "Kimura",
  "Lindqvist", "Moreau", "Nakamura", "Oyelaran", "Petrov", "Quispe", "Rahman", "Sokolova", "Takahashi", "Umarov", "Valdez", "Wambui",
  "Yilmaz", "Zielinska"];

/** The newcomer with this serial number: always the same one, never two alike. */
export function newcomer(serial) {
  const first = given[serial % given.length];
  const last = family[(serial * 7 + Math.floor(serial / given.length)) % family.length];
  const round = Math.floor(serial / (given.length * family.length));
  const userName = `${first}.${last}${round ? round + 1 : ""}@example.com`.toLowerCase();
  return { given: first, family: last, userName, email: userName, phone: `+1202555${String(100 + (serial % 100)).padStart(4, "0")}` };
}

/** As `newcomer`, but about one in ten has what real people have: a second first name, a phone number with spaces. */
export function someone(serial) {
  const person = newcomer(serial);
  if (serial % 10 === 6) return { ...person, given: `${person.given} Mae`, phone: person.phone.replace(/^(\+1)(\d{3})(\d{3})/, "$1 $2 $3 ") };
  return person;
}

/** The person as Entra creates them: `POST /Users`. */
export function resource(person, dialect) {
  const formatted = `${person.given} ${person.family}`.trim();
  const body = {
    schemas: ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
    externalId: person.userName.split("@")[0],
    userName: person.userName,
    active: true,
    displayName: formatted,
    name: { formatted, familyName: person.family, givenName: person.given },
    meta: { resourceType: "User" },
    roles: [],
  };
  if (person.email) body.emails = [{ primary: true, type: "work", value: person.email }];
  if (person.phone) body.phoneNumbers = [{ type: phoneType(dialect), value: person.phone }];
  return body;
}

/** What Entra sends to bring `found` in line with the person: one capitalised operation an attribute, only where they differ. */
export function changes(person, found, dialect) {
  const wanted = resource(person, dialect);
  const phone = `phoneNumbers[type eq "${phoneType(dialect)}"].value`;
  const entry = (list, type) => (list ?? []).find((one) => one.type === type)?.value;
  const pairs = [
    ["active", String(found.active ?? false) === "true" ? "True" : "False", "True"],
    ["externalId", found.externalId, wanted.externalId],
    ["displayName", found.displayName, wanted.displayName],
    ["name.givenName", found.name?.givenName, person.given],
    ["name.familyName", found.name?.familyName, person.family],
    ['emails[type eq "work"].value', entry(found.emails, "work"), person.email],
    [phone, entry(found.phoneNumbers, phoneType(dialect)), person.phone],
  ];
  return pairs
    .filter(([, is, should]) => should && is !== should)
    .map(([path, is, value]) => ({ op: is === undefined ? "Add" : "Replace", path, value }));
}

const phoneType = (dialect) => (dialect === "ringcentral" ? "mobile" : "work");
