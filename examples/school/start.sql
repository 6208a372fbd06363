-- What the database of the school is like before the first sync. Nobody is ever deleted: whoever leaves is inactive.

create table users (
    idnumber text primary key, username text not null unique, name text not null, email text not null,
    active boolean not null default true
);
create table account_states (
    idnumber text primary key references users, state text not null, since timestamptz not null default now()
);
create table groups (name text primary key);
create table group_members (
    group_name text references groups, idnumber text references users, primary key (group_name, idnumber)
);

insert into users (idnumber, username, name, email) values
    ('0997', 'agnes.whitlock', 'Agnes Whitlock', 'agnes.whitlock@school.example'),
    ('0998', 'zoe.brown', 'Zoe Brown', 'z.brown@school.example'),
    ('1001', 'asa.lindqvist', 'Åsa Lindqvist', 'asa.lindqvist@school.example'),
    ('1002', 'niamh.oconnor', 'Niamh O''Connor', 'niamh.oconnor@school.example'),
    ('1003', 'ines.garcia', 'Inés García Márquez', 'ines.garcia@school.example'),
    ('1004', 'mai.nguyen', 'Thị Mai Nguyễn', 'mai.nguyen@school.example'),
    ('1005', 'juergen.mueller', 'Jürgen Müller', 'juergen.mueller@school.example'),
    ('1006', 'chidi.okafor', 'Chidi Okafor', 'chidi.okafor@school.example'),
    ('1007', 'jiri.dvorak', 'Jiří Dvořák', 'jiri.dvorak@school.example'),
    ('1008', 'isil.yilmaz', 'Işıl Yılmaz', 'isil.yilmaz@school.example'),
    ('1009', 'eleni.antoniou', 'Ελένη Αντωνίου', 'eleni.antoniou@school.example'),
    ('1010', 'pieter.vanderberg', 'Pieter van der Berg', 'pieter.vanderberg@school.example'),
    ('1011', 'zofia.lukasiewicz', 'Zofia Łukasiewicz', 'zofia.lukasiewicz@school.example'),
    ('1013', 'leila.mansour', 'Leïla Mansour', 'leila.mansour@school.example'),
    ('1014', 'john.smith', 'John Smith', 'john.smith@school.example'),
    ('1015', 'joan.smith', 'Joan Smith', 'joan.smith@school.example'),
    ('1016', 'nikos.ioannou', 'Νίκος Ιωάννου', 'nikos.ioannou@school.example'),
    ('1017', 'aenne.schroeder', 'Änne Schröder', 'aenne.schroeder@school.example'),
    ('1018', 'joao.desouza', 'João de Souza', 'joao.desouza@school.example'),
    ('1019', 'anna.sokolova', 'Анна Соколова', 'anna.sokolova@school.example'),
    ('1020', 'iain.macleod', 'Ian MacLeod', 'iain.macleod@school.example'),
    ('1021', 'gudrun.thorsdottir', 'Guðrún Þórsdóttir', 'gudrun.thorsdottir@school.example'),
    ('1022', 'sean.obriain', 'Seán Ó Briain', 'sean.obriain@school.example'),
    ('1023', 'michal.kowalczyk', 'Michał Kowalczyk', 'michal.kowalczyk@school.example'),
    ('1024', 'chloe.bianchi', 'Chloé Bianchi', 'chloe.bianchi@school.example'),
    ('1025', 'jiwoo.park', 'Ji-woo Park', 'jiwoo.park@school.example'),
    ('1029', 'dorde.petrovic', 'Đorđe Petrović', 'dorde.petrovic@school.example');

insert into account_states (idnumber, state) select idnumber, 'in use' from users;

insert into groups values ('English'), ('Languages'), ('Latin'), ('Mathematics'), ('Music'), ('Sciences'), ('Sports');

insert into group_members values
    ('English', '1002'), ('English', '1014'), ('English', '1015'), ('English', '1020'),
    ('Languages', '1003'), ('Languages', '1008'), ('Languages', '1009'), ('Languages', '1013'),
    ('Languages', '1024'),
    ('Latin', '0997'),
    ('Mathematics', '1001'), ('Mathematics', '1005'), ('Mathematics', '1011'), ('Mathematics', '1022'),
    ('Music', '1007'), ('Music', '1017'), ('Music', '1021'),
    ('Sciences', '1004'), ('Sciences', '1006'), ('Sciences', '1019'), ('Sciences', '1023'),
    ('Sciences', '1025'),
    ('Sports', '1010'), ('Sports', '1016'), ('Sports', '1018'), ('Sports', '1029'),
    ('Sports', '0998');
